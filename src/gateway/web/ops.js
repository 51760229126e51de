// The operators' page. It asks the node every few seconds and writes what has changed into tables that stay, so that focus,
// selection and scrolling stay too. Records come as server-sent events, which are read by `fetch`, because that can send
// the token in a header.

const NODE_MS = 2000, LOG_MS = 4000, LETTERS_MS = 8000, TOLD_MS = 10_000, ROWS_MAX = 300, REPLAYABLE = "Send again";
const at = (id) => document.getElementById(id);
let token = null, timers = [], tail = null, sent = new Map();

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function banner(text, good) {
  const line = at("banner");
  if (line.textContent !== (text || "")) line.textContent = text || "";
  line.className = good ? "good" : "";
}

const number = (value) => value === null || value === undefined ? "–" : value.toLocaleString("en");
const words = (name) => name.replaceAll("_", " ");
const clock = (time) => new Date(time).toLocaleTimeString("en", { hour12: false });
const moment = (time) => `${new Date(time).toLocaleDateString("sv")} ${clock(time)}`;

function ago(millis) {
  const seconds = Math.max(0, Math.round((Date.now() - millis) / 1000));
  if (seconds < 90) return `${seconds} s ago`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}

// A table with these columns (`[heading, class]`) and rows (`{key, cells}`); the first cell of a row is its heading. A cell
// is text or `{text, mark, title, node}`. Rows that stay are changed in place.
function fill(table, columns, rows, empty) {
  if (!table.tHead) {
    const head = table.createTHead().insertRow();
    for (const [heading, kind] of columns) {
      const cell = element("th", heading, kind);
      cell.scope = "col";
      head.append(cell);
    }
    table.createTBody();
  }
  const body = table.tBodies[0], kept = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  if (rows.length === 0) rows = [{ key: "\u0000", cells: [{ text: empty, span: columns.length }] }];
  rows.forEach(({ key, cells }, index) => {
    let row = kept.get(key);
    if (!row) {
      row = element("tr");
      row.dataset.key = key;
      cells.forEach((cell, column) => {
        const heading = column === 0 && cell?.span === undefined;
        const made = element(heading ? "th" : "td", undefined, cell?.span ? "empty" : columns[column][1]);
        if (heading) made.scope = "row";
        if (cell?.span) made.colSpan = cell.span;
        row.append(made);
      });
    }
    kept.delete(key);
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] || null);
    cells.forEach((cell, column) => write(row.cells[column], cell));
  });
  for (const row of kept.values()) row.remove();
}

function write(place, cell) {
  const { text, mark, title, node } = typeof cell === "object" && cell !== null ? cell : { text: cell };
  if (node) {
    if (place.firstChild !== node) place.replaceChildren(node);
  } else if (mark) {
    const said = place.firstElementChild || place.appendChild(element("span"));
    if (said.textContent !== text) said.textContent = text;
    said.className = `mark ${mark}`;
  } else if (place.textContent !== String(text ?? "–")) {
    place.textContent = text ?? "–";
  }
  if (title !== undefined && place.title !== title) place.title = title;
}

const GUARANTEES = { exactly_once: ["exactly once", "good"], at_least_once: ["at least once", "warn"], none: ["nothing is promised", "bad"] };
const STATES = { working: "good", restoring: "warn", joining: "warn" };

function showRoles(roles) {
  const all = at("roles");
  for (const role of roles) {
    let card = all.querySelector(`article[data-role="${role.role}"]`);
    if (!card) {
      card = element("article");
      card.dataset.role = role.role;
      const head = element("div", undefined, "head");
      head.append(element("h3", role.role), element("span"));
      const workers = element("ul", undefined, "workers");
      workers.setAttribute("aria-label", `Workers of ${role.role}`);
      card.append(head, workers, element("dl", undefined, "facts"), element("ul", undefined, "why"));
      all.append(card);
    }
    const [said, mark] = GUARANTEES[role.guarantee];
    const badge = card.querySelector(".head span");
    badge.textContent = said;
    badge.className = `mark ${mark}`;
    showWorkers(card.querySelector(".workers"), role.workers);
    const { totals } = role;
    facts(card.querySelector("dl"), [
      ["sessions", totals.sessions], ["open consults", totals.open], ["parked people", totals.parked], ["records", totals.records],
      ["outputs", totals.outputs], ["commits", totals.commits], ["dead letters", totals.dead_letters],
      ["moved", totals.moved], ["began again", totals.rejoins],
    ]);
    const why = card.querySelector(".why");
    if (why.dataset.said !== JSON.stringify(role.why)) {
      why.dataset.said = JSON.stringify(role.why);
      why.replaceChildren(...role.why.map((reason) => element("li", reason)));
    }
  }
  for (const card of all.querySelectorAll("article")) {
    if (!roles.some((role) => role.role === card.dataset.role)) card.remove();
  }
  if (roles.length === 0) all.replaceChildren(element("p", "This node runs no role on lanes.", "hint"));
}

function showWorkers(list, workers) {
  workers.forEach((worker, index) => {
    let line = list.children[index];
    if (!line) {
      line = element("li");
      line.append(element("strong"), " ", element("span"), " ", element("span"));
      list.append(line);
    }
    const [name, state, more] = line.children;
    name.textContent = worker.member;
    state.textContent = worker.state;
    state.className = `mark ${STATES[worker.state]}`;
    const restored = worker.restored_ms === null ? "" : `, restored in ${number(worker.restored_ms)} ms`;
    const committed = worker.last_commit_ms === null ? "no commit yet" : `last commit ${ago(worker.last_commit_ms)}`;
    more.textContent = `partitions ${ranges(worker.partitions)}${restored}; ${committed}`;
  });
  while (list.children.length > workers.length) list.lastChild.remove();
}

function facts(list, all) {
  all.forEach(([name, value], index) => {
    let pair = list.children[index];
    if (!pair) {
      pair = element("div");
      pair.append(element("dt", name), element("dd"));
      list.append(pair);
    }
    const text = number(value);
    if (pair.lastChild.textContent !== text) pair.lastChild.textContent = text;
  });
}

// 0, 1, 2, 5 as 0–2, 5.
function ranges(partitions) {
  const found = [];
  for (const partition of partitions) {
    const last = found.at(-1);
    if (last && last[1] === partition - 1) last[1] = partition; else found.push([partition, partition]);
  }
  return found.length ? found.map(([from, to]) => from === to ? from : `${from}–${to}`).join(", ") : "none";
}

function showAgents(agents) {
  const columns = [["Agent", "words"], ["Circuit"], ["Open", "number"], ["Asked", "number"], ["Answered", "number"],
    ["No answer", "number"], ["Not asked", "number"]];
  const circuit = { closed: "good", half_open: "warn", open: "bad" };
  fill(at("agents"), columns, agents.map((agent) => ({ key: agent.agent, cells: [
    agent.agent, { text: words(agent.circuit), mark: circuit[agent.circuit] }, number(agent.open), number(agent.asked),
    number(agent.answered), none(agent),
    { text: number(agent.turned_away + agent.busy), title: `circuit open: ${agent.turned_away}, too many open: ${agent.busy}` },
  ] })), "no agents");
}

function none({ refused, late, failed, unavailable, abandoned }) {
  const title = `refused: ${refused}, late: ${late}, failed: ${failed}, not available: ${unavailable}, no longer awaited: ${abandoned}`;
  return { text: number(refused + late + failed + unavailable + abandoned), title };
}

function showRules(rules) {
  fill(at("rules"), [["Rule", "words"], ["Version", "number"], ["Notices", "fixed"], ["Mode"], ["Times", "number"]],
    (rules || []).map((rule) => ({ key: `${rule.rule} ${rule.version} ${rule.shadow}`, cells: [
      rule.rule, number(rule.version), words(rule.trigger_type),
      rule.shadow ? { text: "shadow", mark: "warn" } : { text: "speaks", mark: "good" }, number(rule.spoken),
    ] })), rules ? "no rules" : "this node does not run detect");
}

function showLanes(groups) {
  const table = at("lanes"), count = Math.max(0, ...groups.flatMap((group) => group.partitions.map((lag) => lag.partition + 1)));
  if (table.tHead && table.tHead.rows[0].cells.length !== count + 2) table.replaceChildren();
  const columns = [["Role"], ["Behind", "number"], ...Array.from({ length: count }, (_, partition) => [String(partition)])];
  const rows = groups.map((group) => {
    const cells = [group.role, number(group.behind)];
    for (let partition = 0; partition < count; partition += 1) {
      const lags = group.partitions.filter((lag) => lag.partition === partition);
      const behind = lags.reduce((sum, lag) => sum + lag.behind, 0);
      const holder = group.holders?.find((one) => one.partitions.includes(partition))?.member;
      const title = lags.map((lag) => `${lag.topic}: ${number(lag.behind)} behind, at ${number(lag.committed)} of ${number(lag.end)}`).join("\n");
      cells.push({ lane: true, behind, holder, title, known: group.holders !== null });
    }
    return { key: group.role, cells: cells.map((cell) => cell.lane ? { node: undefined, text: "" } : cell), lanes: cells.slice(2) };
  });
  fill(table, columns, rows.map(({ key, cells }) => ({ key, cells: cells.slice(0, 2) })), "no groups");
  rows.forEach(({ lanes }, index) => {
    const row = table.tBodies[0].rows[index];
    lanes.forEach(({ behind, holder, title, known }, lane) => {
      const place = row.cells[lane + 2] || row.appendChild(element("td"));
      const text = number(behind), by = holder ? holder.replace(/-(enrich|detect|converse)-(\d+)$/, " · $2") : known ? "nobody" : "";
      if (place.dataset.said !== text + by) {
        place.dataset.said = text + by;
        place.replaceChildren(text, element("small", by));
      }
      place.className = known && !holder ? "nobody" : behind > 0 ? "behind" : "";
      place.title = title;
    });
  });
}

function showTopics(topics) {
  fill(at("topics"), [["Topic", "fixed"], ["Partitions", "number"], ["Offsets held", "number"], ["Begin and end", "words"]],
    topics.map((topic) => ({ key: topic.topic, cells: [
      topic.topic, number(topic.partitions.length), number(topic.records), reach(topic),
    ] })), "no topics");
  options("tail-topic", topics.map((topic) => topic.topic), "triggers.detected");
}

// Where each partition begins and ends, on request.
const reaches = new Map();
function reach({ topic, records, partitions }) {
  if (records === 0) return "empty";
  if (!reaches.has(topic)) {
    const made = element("details"), summary = element("summary", "by partition");
    summary.setAttribute("aria-label", `${topic} by partition`);
    made.append(summary, element("p"));
    reaches.set(topic, { node: made });
  }
  const held = partitions.filter((one) => one.end > one.begin).map((one) => `${one.partition}: ${one.begin}–${one.end}`);
  const place = reaches.get(topic).node.lastChild, text = held.join(", ");
  if (place.textContent !== text) place.textContent = text;
  return reaches.get(topic);
}

function options(id, names, chosen) {
  const select = at(id), there = [...select.options].map((option) => option.value);
  for (const name of names.filter((name) => !there.includes(name))) {
    const option = element("option", name);
    option.value = name;
    select.append(option);
    if (name === chosen) select.value = name;
  }
}

const SVG = "http://www.w3.org/2000/svg";
function showTriggers(recent) {
  const all = recent.total.reduce((sum, count) => sum + count, 0), most = Math.max(1, ...recent.total);
  const wide = 100 / recent.minutes, svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 30");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const each = recent.total.map((count, minute) => `${clock(Date.parse(recent.from) + minute * 60000).slice(0, 5)}: ${count}`);
  svg.setAttribute("aria-label", `Triggers a minute. ${each.join(", ")}`);
  const ground = document.createElementNS(SVG, "line");
  for (const [name, value] of [["x1", 0], ["x2", 100], ["y1", 29.8], ["y2", 29.8]]) ground.setAttribute(name, value);
  svg.append(ground);
  recent.total.forEach((count, minute) => {
    const bar = document.createElementNS(SVG, "rect"), high = count === 0 ? 0 : Math.max(1, 29 * count / most);
    for (const [name, value] of [["x", minute * wide + wide * .1], ["y", 29.8 - high], ["width", wide * .8], ["height", high]]) bar.setAttribute(name, value);
    const title = document.createElementNS(SVG, "title");
    title.textContent = each[minute];
    bar.append(title);
    svg.append(bar);
  });
  if (at("spark").dataset.said !== each.join()) {
    at("spark").dataset.said = each.join();
    at("spark").replaceChildren(svg);
  }
  fill(at("triggers"), [["Rule", "words"], ["Type", "fixed"], ["Last minute", "number"], [`${recent.minutes} min`, "number"]],
    recent.kinds.map((kind) => ({ key: `${kind.rule} ${kind.trigger_type}`, cells: [
      kind.rule ?? "from outside", words(kind.trigger_type), number(kind.by_minute.at(-1)), number(kind.count),
    ] })), "no triggers");
  at("triggers-note").textContent = `${number(all)} in ${recent.minutes} minutes, ${number(recent.total.at(-1))} in this one so far.` +
    (recent.complete ? "" : " There were more: only the newest of each partition are counted.");
}

function showLetters(found) {
  const all = found.counts.reduce((sum, { count }) => sum + count, 0);
  const whole = found.counts.length > 1 ? `${found.complete ? "" : "at least "}${number(all)} in all: ` : "";
  at("letters-count").textContent = whole + found.counts.map(({ topic, class: kind, count }) => `${number(count)} ${words(kind)} of ${topic}`).join(", ");
  options("letters-topic", found.counts.map(({ topic }) => topic));
  options("letters-class", found.counts.map((count) => count.class));
  const columns = [["Record", "fixed"], ["Again", "fixed"], ["Class", "fixed"], ["Cause", "words"], ["Written", "fixed"], ["Person", "id"]];
  fill(at("letters"), columns, found.letters.map((letter) => {
    const key = `${letter.topic} ${letter.cursor}`;
    return { key, cells: [
      { text: `${letter.topic} ${letter.stood}`, title: `dead letter ${letter.cursor}, group ${letter.group}` }, again(key, letter),
      words(letter.class), letter.error, moment(letter.written), letter.key ?? "–",
    ] };
  }), "there are none");
}

function again(key, letter) {
  if (sent.has(key)) return sent.get(key);
  if (!letter.can_replay) return "worked already";
  const button = element("button", REPLAYABLE);
  button.type = "button";
  button.setAttribute("aria-label", `${REPLAYABLE}: ${letter.topic} ${letter.stood}`);
  button.addEventListener("click", () => replay(key, letter, button));
  const cell = { node: button };
  sent.set(key, cell);
  return cell;
}

function sure(letter) {
  const dialog = at("sure");
  at("sure-text").textContent = `The record of ${letter.topic} that stood at ${letter.stood} (${words(letter.class)}).`;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((decide) => dialog.addEventListener("close", () => decide(dialog.returnValue === "yes"), { once: true }));
}

async function replay(key, letter, button) {
  if (!await sure(letter)) return;
  button.disabled = true;
  try {
    const answer = await ask(`/v1/ops/dead-letters/${letter.topic}/${letter.cursor}/replay`, "POST");
    sent.set(key, `sent to ${answer.sent}`);
    banner(`Sent again: it is at ${answer.sent} in ${answer.topic}.`, true);
    setTimeout(() => at("banner").className && banner(""), TOLD_MS);
  } catch (error) {
    if (error.status === 409) sent.set(key, "sent before");
    else button.disabled = false;
    banner(error.message);
  }
  await letters();
}

async function ask(path, method = "GET") {
  const answer = await fetch(path, { method, headers: { authorization: `Bearer ${token}` } });
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(problem.detail || `the node says ${answer.status}`), { status: answer.status });
}

const node = async () => {
  const seen = await ask("/v1/ops/node");
  at("where").textContent = `${seen.node} on ${seen.bus}`;
  at("where").title = at("where").textContent;
  showRoles(seen.roles);
  showAgents(seen.agents);
  showRules(seen.rules);
  at("when").textContent = `as of ${clock(Date.now())}`;
};
const groups = async () => showLanes((await ask("/v1/ops/groups")).groups);
const topics = async () => showTopics((await ask("/v1/ops/topics")).topics);
const triggers = async () => showTriggers(await ask("/v1/ops/triggers"));
const letters = async () => {
  const asked = new URLSearchParams();
  for (const name of ["topic", "class", "user"]) {
    const value = at(`letters-${name}`).value.trim();
    if (value) asked.set(name, value);
  }
  showLetters(await ask(`/v1/ops/dead-letters?${asked}`));
};

// Asks again and again, one after the other; a page that nobody sees asks nothing.
function every(millis, look) {
  const own = { timer: null };
  const turn = async () => {
    if (document.visibilityState === "visible") {
      try {
        await look();
        if (own.failed) banner("");
        own.failed = false;
      } catch (error) {
        if (!timers.includes(own)) return;
        if (error.status === 401 || error.status === 403) return signIn(error.message);
        own.failed = true;
        banner(error.status ? error.message : "The node cannot be reached. Trying again.");
      }
    }
    if (timers.includes(own)) own.timer = setTimeout(turn, millis);
  };
  timers.push(own);
  turn();
}

// Server-sent events out of a body: blocks of `name: value` lines with an empty line between them.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n").map((line) => line.split(/: ?(.*)/s));
      const of = (name) => lines.filter(([known]) => known === name).map(([, text]) => text).join("\n");
      if (of("data")) yield { event: of("event"), data: of("data") };
    }
  }
}

async function follow() {
  stop();
  const asked = new URLSearchParams({ topic: at("tail-topic").value, last: "5" });
  for (const name of ["user", "type"]) {
    const value = at(`tail-${name}`).value.trim();
    if (value) asked.set(name, value);
  }
  const own = tail = new AbortController();
  at("tail").replaceChildren();
  fill(at("tail"), TAIL, [], "nothing yet");
  at("tail-end").disabled = false;
  at("tail-state").textContent = `Following ${asked.get("topic")}.`;
  let over = 0, end = "The stream has ended.";
  try {
    const answer = await fetch(`/v1/ops/tail?${asked}`, { headers: { authorization: `Bearer ${token}` }, signal: own.signal });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    for await (const { event, data } of events(answer.body)) {
      if (event === "end") { end = data; continue; }
      const { records, passed_over: passed } = JSON.parse(data);
      over += passed;
      if (passed) at("tail-state").textContent = `Following ${asked.get("topic")}. It is busy: ${number(over)} records came and are not shown.`;
      putRecords(records);
    }
  } catch (error) {
    end = error.name === "AbortError" ? "Stopped." : error.message;
  }
  if (tail === own) {
    at("tail-end").disabled = true;
    at("tail-state").textContent = end;
  }
}

const TAIL = [["Place", "fixed"], ["Written", "fixed"], ["Person", "id"], ["Kind", "fixed"], ["Known of it", "words"]];
function putRecords(records) {
  const body = at("tail").tBodies[0];
  body.querySelector(".empty")?.parentElement.remove();
  // The newest is on top; within a partition they come in order.
  for (const record of records) {
    const row = element("tr"), place = element("th", record.cursor, "fixed");
    place.scope = "row";
    const about = Object.entries(record.about).map(([name, value]) => `${words(name)} ${value}`).join(", ");
    const id = record.id ? `${record.id}${about ? ", " : ""}` : "";
    row.append(place, element("td", moment(record.written), "fixed"), element("td", record.key ?? "–", "id"),
      element("td", record.kind ? words(record.kind) : "–", "fixed"), element("td", id + about || `${number(record.bytes)} bytes`, "words"));
    body.prepend(row);
  }
  while (body.rows.length > ROWS_MAX) body.rows[body.rows.length - 1].remove();
}

function stop() {
  tail?.abort();
  tail = null;
  at("tail-end").disabled = true;
}

function signIn(refused) {
  sessionStorage.removeItem("ops-token");
  for (const own of timers.splice(0)) clearTimeout(own.timer);
  stop();
  sent.clear();
  at("board").hidden = at("leave").hidden = true;
  at("sign-in").hidden = false;
  at("refused").textContent = refused || "";
  at("where").textContent = at("when").textContent = "";
  banner("");
  at("token").focus();
}

function begin(given) {
  token = given.trim();
  if (!/^[\x21-\x7e]+$/.test(token)) return signIn("That is no token.");
  sessionStorage.setItem("ops-token", token);
  at("sign-in").hidden = true;
  at("board").hidden = at("leave").hidden = false;
  at("token").value = "";
  every(NODE_MS, node);
  for (const look of [groups, topics, triggers]) every(LOG_MS, look);
  every(LETTERS_MS, letters);
}

at("enter").addEventListener("submit", (event) => { event.preventDefault(); begin(at("token").value); });
at("leave").addEventListener("click", () => signIn(""));
at("letters-asked").addEventListener("submit", (event) => event.preventDefault());
at("letters-asked").addEventListener("change", () => letters().catch((error) => banner(error.message)));
at("tail-asked").addEventListener("submit", (event) => { event.preventDefault(); follow(); });
at("tail-end").addEventListener("click", () => { stop(); at("tail-state").textContent = "Stopped."; });

const given = new URLSearchParams(location.hash.slice(1)).get("token");
// The token does not stay in the address bar.
if (given) window.history.replaceState(null, "", location.pathname);
const kept = given || sessionStorage.getItem("ops-token");
if (kept) begin(kept); else signIn("");
