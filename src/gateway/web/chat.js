// The chat page: history by pages, then a WebSocket from the last cursor on. After a cut it comes back behind the last
// event shown; `prev` tells whether one is missing, and a message is sent again under its own id until it is acknowledged.

const at = (id) => document.getElementById(id);
const KEPT = 400;
const unsent = new Map();
const shown = new Set();
let token = null, cursor = null, socket = null, pause = 500, turn = 0, leaving = false;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function banner(text) {
  at("banner").hidden = !text;
  at("banner").textContent = text || "";
}

function follows(list) {
  return list.scrollHeight - list.scrollTop - list.clientHeight < 80;
}

function put(item) {
  const list = at("said"), stick = follows(list);
  list.append(item);
  while (list.children.length > KEPT) list.firstElementChild.remove();
  if (stick) list.scrollTop = list.scrollHeight;
}

function why(event) {
  const about = event.metadata, facts = [];
  if (about.cause_type === "trigger") {
    const name = (about.trigger_type || "a trigger").replaceAll("_", " ");
    facts.push(["Noticed", name + (about.severity === undefined ? "" : `, severity ${Math.round(about.severity * 100)} %`)]);
  } else {
    facts.push(["Answers", "your message"]);
  }
  for (const reason of about.reasons || []) facts.push(["Because", reason]);
  if (about.confidence !== undefined) facts.push(["How sure", `${Math.round(about.confidence * 100)} %`]);
  if (about.panel) facts.push(["Speaker", `${about.panel.seat} of ${about.panel.seats}`]);
  facts.push(["Turn", String(about.turn)]);
  const list = element("dl");
  for (const [name, value] of facts) list.append(element("dt", name), element("dd", value));
  const details = element("details");
  details.append(element("summary", "Why am I seeing this?"), list);
  return details;
}

function show(event) {
  if (shown.has(event.event_id)) return;
  shown.add(event.event_id);
  const about = event.metadata, own = event.message_type === "user_input";
  if (own && about.client_id) {
    unsent.delete(about.client_id);
    document.querySelector(`li[data-client="${CSS.escape(about.client_id)}"]`)?.remove();
  }
  const names = ["neuroscientist", "coach"].filter((name) => name === event.specialist_id);
  const item = element("li", undefined, [own ? "user" : "", event.message_type, ...names].join(" ").trim());
  const article = element("article"), by = element("div", undefined, "by");
  const speaker = own ? "You" : event.specialist_id === "auren" ? "AUREN" : event.specialist_id;
  const time = element("time", new Date(event.timestamp).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }));
  time.dateTime = event.timestamp;
  by.append(element("strong", speaker), time);
  article.append(by, element("p", event.content));
  if (!own) article.append(why(event));
  item.append(article);
  put(item);
  turn = Math.max(turn, about.turn || 0);
  at("stop").disabled = turn === 0;
}

function deliver(frame) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

function say() {
  const text = at("text").value.trim();
  if (!text) return;
  const frame = { type: "send", client_id: crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}`, text };
  if (at("to").value) frame.to = at("to").value;
  unsent.set(frame.client_id, frame);
  const item = element("li", undefined, "user waiting"), article = element("article"), by = element("div", undefined, "by");
  item.dataset.client = frame.client_id;
  by.append(element("strong", "You"), element("span", "sending", "state"));
  article.append(by, element("p", text));
  item.append(article);
  put(item);
  at("said").scrollTop = at("said").scrollHeight;
  at("text").value = "";
  deliver(frame);
}

function hear(frame) {
  switch (frame.type) {
    case "hello":
      cursor = frame.cursor;
      pause = 500;
      banner("");
      for (const message of unsent.values()) deliver(message);
      break;
    case "event":
      // A frame is missing: come back behind the last one that was shown.
      if (frame.prev !== cursor) return socket.close();
      cursor = frame.cursor;
      show(frame.event);
      break;
    case "ack": {
      unsent.delete(frame.client_id);
      const state = document.querySelector(`li[data-client="${CSS.escape(frame.client_id)}"] .state`);
      if (state) state.textContent = "sent";
      break;
    }
    case "gap":
      cursor = frame.resumes_at;
      put(element("li", "Older messages are not kept any more.", "system_message"));
      break;
    case "error":
      if (frame.client_id && !frame.retry_after_ms) {
        unsent.delete(frame.client_id);
        const state = document.querySelector(`li[data-client="${CSS.escape(frame.client_id)}"] .state`);
        if (state) state.textContent = `not sent: ${frame.message}`;
      } else if (frame.client_id) {
        setTimeout(() => unsent.has(frame.client_id) && deliver(unsent.get(frame.client_id)), frame.retry_after_ms);
      } else {
        banner(frame.message);
      }
  }
}

async function ask(path, method) {
  const answer = await fetch(path, { method, headers: { authorization: `Bearer ${token}` } });
  if (answer.status === 401 || answer.status === 403) throw Object.assign(new Error((await answer.json()).detail), { refused: true });
  if (!answer.ok) throw new Error(`the server says ${answer.status}`);
  return answer.json();
}

async function past() {
  for (;;) {
    const page = await ask(`/v1/conversations/events?limit=500${cursor ? `&after=${cursor}` : ""}`, "GET");
    for (const { event } of page.events) show(event);
    cursor = page.next;
    if (!page.more) return;
  }
}

function later(words) {
  banner(`${words} Trying again.`);
  const wait = pause * (0.5 + Math.random());
  pause = Math.min(pause * 2, 15000);
  setTimeout(connect, wait);
}

async function connect() {
  if (leaving) return;
  try {
    if (cursor === null) await past();
    const { ticket } = await ask("/v1/ws-ticket", "POST");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/v1/ws?ticket=${ticket}&after=${cursor}`, "auren.v1");
    socket.onmessage = ({ data }) => hear(JSON.parse(data));
    socket.onclose = ({ code, reason }) => {
      if (leaving) return;
      if (code === 4504) { cursor = null; return later("The conversation is read anew."); }
      if (code >= 4500) return banner(`The connection has ended: ${reason}.`);
      later("The connection is lost.");
    };
  } catch (error) {
    if (error.refused) return signIn(error.message);
    later("The server cannot be reached.");
  }
}

function signIn(refused) {
  sessionStorage.removeItem("token");
  at("sign-in").hidden = false;
  for (const id of ["said", "writing", "leave"]) at(id).hidden = true;
  at("refused").textContent = refused || "";
  at("who").textContent = "";
  banner("");
  at("token").focus();
}

function begin(given) {
  token = given.trim();
  let user = "";
  try { user = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).sub; } catch { return signIn("That is no token."); }
  sessionStorage.setItem("token", token);
  at("who").textContent = user;
  at("sign-in").hidden = true;
  for (const id of ["said", "writing", "leave"]) at(id).hidden = false;
  leaving = false;
  connect();
  at("text").focus();
}

at("send").addEventListener("click", say);
at("text").addEventListener("keydown", (key) => {
  if (key.key === "Enter" && !key.shiftKey && !key.isComposing) { key.preventDefault(); say(); }
});
at("stop").addEventListener("click", () => deliver({ type: "stop", turn }));
at("enter").addEventListener("click", () => begin(at("token").value));
at("token").addEventListener("keydown", (key) => { if (key.key === "Enter") begin(at("token").value); });
at("leave").addEventListener("click", () => {
  leaving = true;
  socket?.close();
  cursor = null; turn = 0;
  unsent.clear(); shown.clear();
  at("said").replaceChildren();
  signIn("");
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && cursor?.includes(":")) deliver({ type: "seen", cursor });
});

const given = new URLSearchParams(location.hash.slice(1)).get("token");
// The token does not stay in the address bar.
if (given) window.history.replaceState(null, "", location.pathname);
const kept = given || sessionStorage.getItem("token");
if (kept) begin(kept); else signIn("");
