// node run.mjs '{"url", "token", "thread", "cut"}' TEXT...: says each text in turn as the official client does, and prints a line of
// JSON for each run: the types of the events that came, and the messages that the client has at its end. `cut` breaks the
// first run's stream behind so many whole messages; it is asked for again behind the last cursor that came.

import { HttpAgent } from "@ag-ui/client";

const { url, token, thread, cut } = JSON.parse(process.argv[2]);
const texts = process.argv.slice(3);
const agent = new HttpAgent({ url, headers: { Authorization: `Bearer ${token}` }, threadId: thread });

// What a network does that breaks: the events that have come are there, and then there are no more.
function breaks(response, after) {
  const lines = response.body.pipeThrough(new TextDecoderStream());
  let ended = 0;
  const cutting = new TransformStream({
    transform(part, controller) {
      for (const event of part.split(/(?<=\n\n)/)) {
        controller.enqueue(event);
        if (event.includes('"TEXT_MESSAGE_END"') && ++ended === after) controller.error(new Error("cut"));
      }
    },
  });
  return new Response(lines.pipeThrough(cutting).pipeThrough(new TextEncoderStream()), response);
}

async function run() {
  const types = [];
  let cursor, error;
  const heard = {
    onEvent: ({ event }) => { types.push(event.type); },
    onTextMessageEndEvent: ({ event }) => { cursor = event.metadata.cursor; },
    onCustomEvent: ({ event }) => { if (event.value.event?.message_type === "user_input") cursor = event.value.cursor; },
    onRunErrorEvent: ({ event }) => { error = event.code; },
  };
  let broke = false;
  try { await agent.runAgent({}, heard); } catch { broke = true; }
  const messages = agent.messages.map(({ role, name, content }) => ({ role, name, content }));
  console.log(JSON.stringify({ types, messages, broke, cursor, error }));
  return { broke, cursor };
}

let whole = agent.fetch;
for (const [index, text] of texts.entries()) {
  agent.addMessage({ id: `m-${index}`, role: "user", content: text });
  if (cut && index === 0) agent.fetch = async (...request) => breaks(await (whole ?? fetch)(...request), cut);
  const { broke, cursor } = await run();
  if (!broke) continue;
  agent.fetch = whole ?? ((...request) => fetch(...request));
  agent.url = `${url}?after=${cursor}`;
  await run();
  agent.url = url;
}
