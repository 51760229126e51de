// node parts.mjs OPTIONS: says something to an agent and follows its answer as it is spoken. Whenever what there is to show
// changes, it prints that as one line of JSON: { provisional, events, state }. OPTIONS is JSON: { url, token, to }.

import { AurenClient, conversation } from "../client.js";

const { url, token, to } = JSON.parse(process.argv[2]);
const WebSocket = globalThis.WebSocket ?? (await import("ws")).WebSocket;
const client = new AurenClient({ url, token: () => token, recent: 2, WebSocket });
const told = conversation(client);
let before;
told.subscribe(() => {
  const { provisional, events, state, older } = told.snapshot();
  const now = JSON.stringify({ provisional, events: events.map(({ event }) => event.content), state, older });
  if (now !== before) console.log(now);
  before = now;
});
client.connect();
await client.send("Will it be a good night?", { to });
for await (const { event } of client.events()) if (event.specialist_id === to) break;
await told.loadOlder();
client.close();
