// node run.mjs '{"url", "token", "thread", "cut"}' TEXT...: says each text in turn as the official client does, and prints a line of
// JSON for each run: the types of the events that came, and the messages that the client has at its end. `cut` breaks the
// first run's stream when the client has heard an event of this type; it is asked for again behind the last cursor.

import { HttpAgent } from "@ag-ui/client";

const { url, token, thread, cut } = JSON.parse(process.argv[2]);
const texts = process.argv.slice(3);
const agent = new HttpAgent({ url, headers: { Authorization: `Bearer ${token}` }, threadId: thread });

// The client leaves the rejection of a stream that broke unhandled.
process.on("unhandledRejection", () => {});

// What a network does that breaks: what was heard is there, and nothing else comes.
function breaks(response, heard) {
  const reader = response.body.getReader();
  const broken = heard.then(() => { throw new Error("cut"); });
  const pull = async (controller) => {
    const { done, value } = await Promise.race([broken, reader.read()]);
    if (done) controller.close();
    else controller.enqueue(value);
  };
  return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }), response);
}

async function run(cut) {
  const types = [];
  const whole = new Set();
  let cursor, error, broke = false, stop;
  if (cut) {
    const heard = new Promise((resolve) => { stop = resolve; });
    agent.fetch = async (...request) => breaks(await fetch(...request), heard);
  }
  const subscriber = {
    onEvent: ({ event }) => {
      types.push(event.type);
      if (event.type === cut) stop();
    },
    onTextMessageEndEvent: ({ event }) => {
      cursor = event.metadata.cursor;
      whole.add(event.messageId);
    },
    onCustomEvent: ({ event }) => { if (event.value.event?.message_type === "user_input") cursor = event.value.cursor; },
    onRunErrorEvent: ({ event }) => { error = event.code; },
  };
  try { await agent.runAgent({}, subscriber); } catch { broke = true; }
  agent.fetch = (...request) => fetch(...request);
  // What has no end is told again.
  if (broke) agent.setMessages(agent.messages.filter(({ role, id }) => role === "user" || whole.has(id)));
  const messages = agent.messages.map(({ role, name, content }) => ({ role, name, content }));
  console.log(JSON.stringify({ types, messages, broke, error }));
  return { broke, cursor };
}

for (const [index, text] of texts.entries()) {
  agent.addMessage({ id: `m-${index}`, role: "user", content: text });
  const { broke, cursor } = await run(index === 0 && cut);
  if (!broke) continue;
  agent.url = `${url}?after=${cursor}`;
  await run();
  agent.url = url;
}
