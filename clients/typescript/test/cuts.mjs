// node cuts.mjs OPTIONS: chats with the hub and cuts its own connection again and again. It prints what it heard and what was
// acknowledged as one line of JSON. OPTIONS is JSON: { urls, token, messages, to, events, cuts }.

import { AurenClient, conversation } from "../client.js";

const { urls, token, messages, to, events, cuts } = JSON.parse(process.argv[2]);
const Platform = globalThis.WebSocket ?? (await import("ws")).WebSocket;
const heard = [];
let socket, cut = 0, connections = 0, heardBefore = 0;

class Watched extends Platform {
  constructor(...given) {
    super(...given);
    connections += 1;
    heardBefore = heard.length;
    socket = this;
  }
}

const kept = {};
const store = {
  load: () => kept.saved && JSON.parse(kept.saved),
  save: (saved) => (kept.saved = JSON.stringify(saved)),
};
const acks = [];

function begin() {
  const client = new AurenClient({ url: urls, token: () => token, store, WebSocket: Watched });
  client.onEvent(({ cursor, event }) => heard.push({ cursor, content: event.content }));
  return client;
}

let client = begin();
const told = conversation(client);
client.connect();

/** Says something; a client that is closed meanwhile leaves it to the next one. */
function say(client_id) {
  const sent = client.send(`what is ${client_id}?`, { to, client_id });
  acks.push(sent.catch(({ code }) => ({ client_id, code })));
}

const limit = Date.now() + 90_000;
let said = 0;
while (said < messages || heard.length < events || cut < cuts) {
  if (Date.now() > limit) throw new Error(`heard ${heard.length} of ${events} events with ${cut} cuts`);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
  if (said < messages) say(`m-${said++}`);
  if (cut >= cuts || socket?.readyState !== 1) continue;
  // One in four at any moment; the others behind something heard, while there is something to hear.
  if (cut % 4 && heard.length === heardBefore && heard.length < 2 * said) continue;
  cut += 1;
  if (cut === Math.ceil(cuts / 2)) {
    // The page is loaded again: the next client goes on where the store says, and sends what this one could not.
    say("m-last-words");
    client.close();
    client = begin().connect();
    say("m-first-words");
  } else {
    socket.close();
  }
}
client.seen();
const answered = await Promise.all(acks);
const { events: shown } = told.snapshot();
const unsent = client.unsent;
client.close();
console.log(JSON.stringify({ heard, answered, connections, cut, shown: shown.length, unsent }));
