// The chat page: the client for frontends, and what it tells as elements. Events are shown once and stay; what agents say
// before it is committed stands behind them, and goes when its event comes.

import { AurenClient, conversation } from "/client.js";

const at = (id) => document.getElementById(id);
const AGENTS = ["neuroscientist", "coach"];
const RECENT = 50;
/** Gone, or never to come back like that: the conversation is read anew. */
const NO_PLACE = 4504;

let client = null, told = null;
let items = new Map(), failed = new Map(), shownEvents, marked;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function bubble(className, speaker, beside, text) {
  const item = element("li", undefined, className), article = element("article"), by = element("div", undefined, "by");
  by.append(element("strong", speaker), beside);
  article.append(by, element("p", text));
  item.append(article);
  return item;
}

const percent = (part) => `${Math.round(part * 100)} %`;
const words = (name) => name.replaceAll("_", " ");

// ── an event ──

function facts(event, chain) {
  const about = event.metadata, list = [], cause = chain?.cause?.about ?? {};
  if (about.cause_type === "trigger") {
    const severity = about.severity === undefined ? "" : `, severity ${percent(about.severity)}`;
    list.push(["Noticed", words(about.trigger_type || "something") + severity]);
    if (cause.message) list.push(["That is", cause.message]);
  } else {
    list.push(["Answers", "your message"]);
  }
  for (const reason of about.reasons ?? []) list.push(["Because", reason]);
  for (const { subject, statement } of about.findings ?? []) list.push([words(subject), statement]);
  for (const { about: measured, at: when } of chain?.biometrics ?? []) {
    if (measured?.type) list.push(["Rests on", `${words(measured.type)}${when ? `, ${moment(when)}` : ""}`]);
  }
  if (about.confidence !== undefined) list.push(["How sure", percent(about.confidence)]);
  if (about.panel?.seats > 1) list.push(["Speaker", `${about.panel.seat} of ${about.panel.seats}`]);
  return list.flatMap(([name, value]) => [element("dt", name), element("dd", value)]);
}

function why(event) {
  const details = element("details"), list = element("dl");
  list.append(...facts(event));
  details.append(element("summary", "Why am I seeing this?"), list);
  // Where the hub keeps a history it knows the whole chain; where not, the event says what it says.
  details.addEventListener("toggle", () => {
    client.why(event.event_id).then((chain) => list.replaceChildren(...facts(event, chain)), () => {});
  }, { once: true });
  return details;
}

const moment = (time) => new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
const day = (event) => new Date(event.timestamp).toLocaleDateString([], { dateStyle: "full" });

function message(event) {
  const own = event.message_type === "user_input", agent = AGENTS.includes(event.specialist_id) ? event.specialist_id : "";
  const time = element("time", new Date(event.timestamp).toLocaleTimeString([], { timeStyle: "short" }));
  time.dateTime = event.timestamp;
  const speaker = own ? "You" : event.specialist_id === "auren" ? "AUREN" : event.specialist_id;
  const item = bubble(`${own ? "user" : agent} ${event.message_type}`.trim(), speaker, time, event.content);
  // What the hub has of a person's own words it never loses; how far the rest was seen, showMarks says.
  item.querySelector(".by").append(element("span", own ? "Delivered" : "", "mark"));
  if (!own && event.message_type !== "system_message") item.firstElementChild.append(why(event));
  item.dataset.day = day(event);
  return item;
}

// ── the whole ──

function follows() {
  const scroll = at("scroll");
  return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
}

function toEnd() {
  at("scroll").scrollTop = at("scroll").scrollHeight;
  at("newest").hidden = true;
}

/** Puts what is not shown yet where it belongs; returns whether there was something at the end. */
function showEvents(events) {
  const list = at("said");
  const shown = new Map();
  let before = null, news = false;
  for (let index = events.length - 1; index >= 0; index -= 1) {
    const { cursor, event } = events[index];
    let item = items.get(cursor);
    if (!item) {
      item = message(event);
      list.insertBefore(item, before);
      news ||= before === null;
      agentHeard(event);
    }
    shown.set(cursor, item);
    before = item;
  }
  for (const [cursor, item] of items) if (!shown.has(cursor)) item.remove();
  items = shown;
  showDays(list);
  return news;
}

/** How far everything has been seen, on whichever device: what has not been is new. */
function showMarks() {
  const place = (cursor) => Number(cursor.split(":")[1]), seen = client?.marked;
  let newest = true;
  // Newest first, as showEvents gathers them.
  for (const [cursor, item] of seen === undefined ? [] : items) {
    if (item.classList.contains("user_input")) continue;
    const isSeen = place(cursor) <= place(seen), mark = item.querySelector(".mark");
    const text = isSeen ? (newest ? "Seen" : "") : "New";
    if (isSeen) newest = false;
    if (mark.textContent !== text) mark.textContent = text;
  }
}

/** A day's name before its first message. What stands there already is left, or it would be read out again. */
function showDays(list) {
  let last, name = null;
  for (const item of [...list.children]) {
    if (item.className === "day") {
      name?.remove();
      name = item;
      continue;
    }
    const begins = item.dataset.day !== last;
    if (name && !(begins && name.textContent === item.dataset.day)) name.remove(), name = null;
    if (begins && !name) item.before(element("li", item.dataset.day, "day"));
    [last, name] = [item.dataset.day, null];
  }
  name?.remove();
}

function showSpeaking({ provisional, unsent }) {
  const list = at("speaking"), wanted = new Map();
  for (const { client_id, text } of unsent) wanted.set(client_id, () => bubble("user waiting", "You", element("span", "sending"), text));
  for (const [client_id, { text, why }] of failed) {
    wanted.set(client_id, () => bubble("user waiting", "You", element("span", `not sent: ${why}`), text));
  }
  for (const { turn, agent, text } of provisional) {
    const known = AGENTS.includes(agent) ? agent : "";
    wanted.set(`${turn} ${agent}`, () => bubble(`provisional ${known}`, agent, element("span", "", "dots"), text));
  }
  for (const item of [...list.children]) if (!wanted.has(item.dataset.key)) item.remove();
  const kept = new Map([...list.children].map((item) => [item.dataset.key, item]));
  for (const [key, make] of wanted) {
    const item = kept.get(key) ?? make();
    item.dataset.key = key;
    list.append(item);
  }
  for (const { turn, agent, text } of provisional) {
    const words = [...list.children].find((item) => item.dataset.key === `${turn} ${agent}`).querySelector("p");
    if (words.textContent !== text) words.textContent = text;
  }
  list.hidden = !wanted.size;
}

/** Without a connection nobody knows. */
function showBusy({ state, provisional }) {
  const busy = state === "open" ? provisional.filter(({ state }) => state !== "done") : [];
  const said = busy.map(({ agent, state }) => `The ${agent} is ${state}.`).join(" ");
  if (at("busy").textContent !== said) at("busy").textContent = said;
  at("stop").hidden = !busy.length;
}

function banner(text) {
  if (at("banner").textContent !== text) at("banner").textContent = text;
  at("banner").hidden = !text;
}

function show() {
  const now = told.snapshot(), stick = follows(), scroll = at("scroll");
  const fromEnd = scroll.scrollHeight - scroll.scrollTop;
  const first = items.size === 0;
  const news = now.events !== shownEvents && showEvents(now.events);
  shownEvents = now.events;
  showMarks();
  showSpeaking(now);
  showBusy(now);
  at("older").hidden = !now.older;
  at("nothing").hidden = now.state !== "open" || now.events.length > 0 || !at("speaking").hidden;
  if (stick || first) toEnd();
  else if (news) at("newest").hidden = false;
  // Older events come in above what is being read.
  else scroll.scrollTop = scroll.scrollHeight - fromEnd;
  if (now.state === "waiting") banner("The connection is lost. Trying again…");
  else banner(now.gap ? "Some older messages are not kept any more." : "");
  mark();
}

/** Says what has been seen, a moment later. */
function mark() {
  const seen = told.snapshot().events.at(-1)?.cursor;
  if (document.visibilityState !== "visible" || !follows() || !seen || marked === seen) return;
  marked = seen;
  setTimeout(() => marked === seen && client?.state === "open" && client.marked !== seen && client.seen(seen), 500);
}

function agentHeard({ message_type, specialist_id }) {
  if (message_type !== "specialist_response") return;
  const to = at("to");
  if (![...to.options].some(({ value }) => value === specialist_id)) to.append(new Option(specialist_id, specialist_id));
}

// ── coming and going ──

/** Messages that are not sent yet survive a reload of the page; its place does not, as it shows the newest anew. */
const unsentOf = (user) => ({
  load: () => JSON.parse(sessionStorage.getItem(`unsent ${user}`) ?? "null"),
  save: ({ unsent }) => sessionStorage.setItem(`unsent ${user}`, JSON.stringify({ unsent })),
});

function open(token, user) {
  client = new AurenClient({ url: location.origin, token, recent: RECENT, store: unsentOf(user) });
  told = conversation(client);
  told.subscribe(show);
  const mine = client;
  client.onNotice((notice) => {
    // Without it nothing is marked as new.
    if (notice.state === "open") mine.loadMarked().catch(() => {});
    if (mine !== client || notice.type !== "error" || client.state !== "closed") return;
    const { code, message } = notice.error;
    if (code === NO_PLACE) return leave(), begin(token);
    if (code === 401 || code === 403) return signIn(message);
    banner(`The connection has ended: ${message}.`);
  });
  client.connect();
}

function leave() {
  const old = client;
  client = null;
  old?.close();
  items = new Map();
  failed = new Map();
  [shownEvents, marked] = [undefined, undefined];
  at("said").replaceChildren();
  at("speaking").replaceChildren();
  showBusy({});
  for (const id of ["older", "newest", "nothing"]) at(id).hidden = true;
}

function signIn(refused) {
  leave();
  sessionStorage.removeItem("token");
  at("sign-in").hidden = false;
  for (const id of ["scroll", "writing", "leave"]) at(id).hidden = true;
  at("refused").textContent = refused;
  at("who").textContent = "";
  banner("");
  at("token").focus();
}

function begin(token) {
  let user;
  try {
    user = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).sub;
  } catch {
    return signIn("That is no token.");
  }
  sessionStorage.setItem("token", token);
  at("who").textContent = user;
  at("token").value = "";
  at("sign-in").hidden = true;
  for (const id of ["scroll", "writing", "leave"]) at(id).hidden = false;
  open(token, user);
  at("text").focus();
}

function say() {
  const text = at("text").value.trim();
  if (!text || !client) return;
  const sent = client.send(text, at("to").value ? { to: at("to").value } : {});
  const { client_id } = client.unsent.at(-1);
  sent.catch(({ message, code }) => {
    if (code === "closed") return;
    failed.set(client_id, { text, why: message });
    show();
  });
  at("text").value = "";
  grow();
  show();
  toEnd();
}

function grow() {
  const text = at("text");
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
}

async function loadOlder() {
  if (loadOlder.busy || at("older").hidden) return;
  loadOlder.busy = true;
  try {
    await told.loadOlder(RECENT);
  } catch (error) {
    banner(`Earlier messages cannot be read now: ${error.message}`);
  }
  loadOlder.busy = false;
}

for (const name of AGENTS) at("to").append(new Option(name, name));
at("writing").querySelector("form").addEventListener("submit", (event) => (event.preventDefault(), say()));
at("sign-in").querySelector("form").addEventListener("submit", (event) => (event.preventDefault(), begin(at("token").value.trim())));
at("text").addEventListener("input", grow);
at("text").addEventListener("keydown", (key) => {
  if (key.key === "Enter" && !key.shiftKey && !key.isComposing) key.preventDefault(), say();
});
at("stop").addEventListener("click", () => {
  for (const { turn, state } of client.provisional) if (state !== "done") client.stop(turn);
  at("text").focus();
});
at("older").addEventListener("click", loadOlder);
at("newest").addEventListener("click", () => (toEnd(), mark()));
at("scroll").addEventListener("scroll", () => {
  if (at("scroll").scrollTop < 40) loadOlder();
  if (follows()) at("newest").hidden = true, mark();
});
at("leave").addEventListener("click", () => signIn(""));
document.addEventListener("visibilitychange", () => client && mark());

const given = new URLSearchParams(location.hash.slice(1)).get("token");
// The token does not stay in the address bar.
if (given) window.history.replaceState(null, "", location.pathname);
const kept = given || sessionStorage.getItem("token");
if (kept) begin(kept.trim());
else signIn("");
