// A client of auren.v1. Its place is the cursor of the last event: after any interruption it comes back behind it, and
// where `prev` of an event is not that cursor, one is missing and it comes back at once. A message is sent again under its
// own id until the log has it. What agents say before it is committed is `provisional`: of this connection, by turn and agent,
// until the event of the same turn and agent replaces it.

const PAUSE_MS = 500;
const PAUSE_MAX_MS = 15_000;
/** Close codes from here on mean: do not come back like that. */
const FINAL = 4500;
const EXPIRED = 4100;

export class AurenError extends Error {
  constructor(message, code) {
    super(message);
    this.name = "AurenError";
    this.code = code;
  }
}

export class AurenClient {
  #urls;
  #token;
  #store;
  #Socket;
  #after;
  #recent;
  #older = false;
  #state = "connecting";
  #cursor;
  #unsent = new Map();
  #provisional = new Map();
  #asked = [];
  #seen;
  #socket;
  #attempt = 0;
  #begun = false;
  #timer;
  #watch;
  #heard = 0;
  #restored = false;
  #events = new Set();
  #notices = new Set();
  #ends = new Set();

  constructor({ url, token, recent, after = recent ? undefined : "earliest", store, WebSocket = globalThis.WebSocket }) {
    if (!WebSocket) throw new AurenError("this platform has no WebSocket: pass one as the option WebSocket", "no_websocket");
    this.#urls = [url].flat().map((each) => each.replace(/\/+$/, ""));
    if (!this.#urls.length || this.#urls.some((each) => !/^https?:\/\//.test(each))) {
      throw new AurenError("url is the address of a node, such as http://127.0.0.1:8420", "bad_url");
    }
    this.#token = typeof token === "function" ? token : () => token;
    this.#store = store;
    this.#Socket = WebSocket;
    this.#after = after;
    this.#recent = recent;
    this.#cursor = after;
  }

  get state() {
    return this.#state;
  }

  get cursor() {
    return this.#cursor;
  }

  get unsent() {
    return [...this.#unsent.values()].map(({ message }) => message);
  }

  get provisional() {
    return [...this.#provisional.values()].map(({ seq, ...shown }) => shown);
  }

  get older() {
    return this.#older;
  }

  connect() {
    if (!this.#begun) {
      this.#begun = true;
      this.#restore().then(() => this.#open());
    }
    return this;
  }

  send(text, { to, client_id = newId() } = {}) {
    if (this.#state === "closed") return Promise.reject(new AurenError("the client is closed", "closed"));
    const message = to === undefined ? { client_id, text } : { client_id, text, to };
    return new Promise((resolve, reject) => {
      this.#unsent.set(client_id, { message, resolve, reject });
      this.#unsentChanged();
      this.#say({ type: "send", ...message });
    });
  }

  stop(turn) {
    this.#ask({ type: "stop", turn });
  }

  seen(cursor = this.#cursor) {
    if (!cursor?.includes(":")) return;
    this.#asked = this.#asked.filter(({ type }) => type !== "seen");
    this.#ask({ type: "seen", cursor });
  }

  get marked() {
    return this.#seen;
  }

  /** How far everything has been seen, on whichever device. */
  async loadMarked() {
    const { cursor } = await this.#fetch(this.#url(), "/v1/conversations/seen");
    if (cursor) this.#marked(cursor);
    return this.#seen;
  }

  #marked(cursor) {
    if (this.#seen && offset(cursor) <= offset(this.#seen)) return;
    this.#seen = cursor;
    this.#tell({ type: "marked", cursor });
  }

  page({ before, after, limit } = {}) {
    const asked = Object.entries({ before, after, limit }).filter(([, value]) => value !== undefined);
    return this.#fetch(this.#url(), `/v1/conversations/events?${new URLSearchParams(asked)}`);
  }

  why(event_id) {
    return this.#fetch(this.#url(), `/v1/why/${encodeURIComponent(event_id)}`);
  }

  onEvent(listener) {
    return listen(this.#events, listener);
  }

  onNotice(listener) {
    return listen(this.#notices, listener);
  }

  events() {
    const ready = [], waiting = [];
    let over, unheard;
    const finish = (error) => {
      over = { error };
      unheard();
      for (const { resolve, reject } of waiting.splice(0)) error ? reject(error) : resolve({ value: undefined, done: true });
    };
    const end = listen(this.#ends, finish);
    const deaf = this.onEvent((placed) => {
      const next = waiting.shift();
      next ? next.resolve({ value: placed, done: false }) : ready.push(placed);
    });
    unheard = () => (end(), deaf());
    if (this.#state === "closed") finish();
    return {
      next: () => {
        if (ready.length) return Promise.resolve({ value: ready.shift(), done: false });
        if (over?.error) return Promise.reject(over.error);
        if (over) return Promise.resolve({ value: undefined, done: true });
        return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
      },
      return: (value) => {
        ready.length = 0;
        if (!over) finish();
        return Promise.resolve({ value, done: true });
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  close() {
    this.#end();
  }

  // ── the connection ──

  async #open() {
    if (this.#state === "closed") return;
    this.#be("connecting");
    const url = this.#url();
    let ticket;
    try {
      if (this.#cursor === undefined) await this.#beginRecent();
      // Browsers cannot send a token with a WebSocket.
      ({ ticket } = await this.#fetch(url, "/v1/ws-ticket", "POST"));
    } catch (error) {
      return error instanceof AurenError ? this.#end(error) : this.#later();
    }
    if (this.#state === "closed") return;
    const address = `${url.replace(/^http/, "ws")}/v1/ws?ticket=${encodeURIComponent(ticket)}&after=${this.#cursor}`;
    const socket = new this.#Socket(address, "auren.v1");
    this.#socket = socket;
    // A socket that was given up may still speak.
    const live = (act) => (event) => socket === this.#socket && act(event);
    socket.onmessage = live(({ data }) => this.#hear(JSON.parse(data)));
    socket.onclose = live(({ code, reason }) => this.#lost(code, reason));
    socket.onerror = () => {};
  }

  /** The newest events, and the place behind them. */
  async #beginRecent() {
    const { events, next, prev } = await this.page({ before: "latest", limit: this.#recent });
    if (this.#state === "closed") return;
    this.#older = prev !== undefined;
    this.#cursor = next;
    for (const placed of events) tell(this.#events, placed);
    this.#save();
  }

  #url() {
    return this.#urls[this.#attempt % this.#urls.length];
  }

  async #fetch(url, path, method = "GET") {
    const headers = { authorization: `Bearer ${await this.#token()}` };
    const answer = await fetch(url + path, { method, headers });
    if (answer.ok) return answer.json();
    if (answer.status >= 500 || answer.status === 429) throw new Error(`the node answers ${answer.status}`);
    const problem = await answer.json().catch(() => ({}));
    throw new AurenError(problem.detail ?? `the node answers ${answer.status}`, answer.status);
  }

  #lost(code, reason) {
    this.#drop();
    if (code >= FINAL && code < 5000) return this.#end(new AurenError(reason || `closed with ${code}`, code));
    // A new token is got for the next connection anyway.
    code === EXPIRED ? this.#open() : this.#later();
  }

  #later() {
    this.#be("waiting");
    const most = Math.min(PAUSE_MAX_MS, PAUSE_MS * 2 ** Math.min(this.#attempt, 10));
    this.#attempt += 1;
    // All of it is random, so that those who were cut off together do not come back together.
    this.#timer = setTimeout(() => this.#open(), most * Math.random());
  }

  #drop() {
    clearInterval(this.#watch);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }

  /** Comes back behind the last event. */
  #again() {
    this.#drop();
    this.#open();
  }

  #end(error) {
    if (this.#state === "closed") return;
    clearTimeout(this.#timer);
    this.#drop();
    this.#be("closed");
    if (error) this.#tell({ type: "error", error });
    for (const { reject } of this.#unsent.values()) reject?.(error ?? new AurenError("the client was closed", "closed"));
    for (const end of [...this.#ends]) end(error);
  }

  // ── what is heard ──

  #hear(frame) {
    this.#heard = Date.now();
    switch (frame.type) {
      case "hello":
        this.#cursor = frame.cursor;
        this.#attempt = 0;
        // This connection tells them from the beginning.
        if (this.#provisional.size) {
          this.#provisional.clear();
          this.#provisionalChanged();
        }
        this.#guard(frame.heartbeat_ms);
        this.#be("open");
        for (const { message } of this.#unsent.values()) this.#say({ type: "send", ...message });
        for (const asked of this.#asked.splice(0)) this.#say(asked);
        break;
      case "event": {
        // One is missing.
        if (frame.prev !== this.#cursor) return this.#again();
        const { cursor, event } = frame;
        this.#cursor = cursor;
        const settles = ({ turn, agent }) => turn === event.metadata.turn && agent === event.specialist_id;
        const settled = [...this.#provisional.values()].some(settles);
        for (const [key, shown] of this.#provisional) if (settles(shown)) this.#provisional.delete(key);
        tell(this.#events, { cursor, event });
        if (settled) this.#provisionalChanged();
        // Only now: whoever is reloaded in between hears it again.
        this.#save();
        break;
      }
      case "status":
      case "delta":
      case "reset":
        this.#hearProvisional(frame);
        break;
      case "ack":
        this.#settle(frame.client_id)?.resolve?.({ client_id: frame.client_id, cursor: frame.cursor });
        break;
      case "marked":
        this.#marked(frame.cursor);
        break;
      case "gap":
        this.#cursor = frame.resumes_at;
        this.#save();
        this.#tell({ type: "gap", after: frame.after, resumes_at: frame.resumes_at });
        break;
      case "error":
        this.#refused(frame);
    }
  }

  #hearProvisional({ type, turn, agent, attempt, seq, text, state }) {
    const key = `${turn} ${agent}`;
    let shown = this.#provisional.get(key) ?? { turn, agent, state: "thinking", attempt: 0, seq: 0, text: "" };
    if (type === "status") shown = { ...shown, state };
    else if (type === "reset") shown = { ...shown, attempt: 0, seq: 0, text: "" };
    else if (seq === 0) shown = { ...shown, attempt, seq: 1, text };
    else if (shown.attempt === attempt && shown.seq === seq) shown = { ...shown, seq: seq + 1, text: shown.text + text };
    else return;
    // Who is done and has left nothing to read is no longer there.
    if (shown.state === "done" && !shown.text) this.#provisional.delete(key);
    else this.#provisional.set(key, shown);
    this.#provisionalChanged();
  }

  #provisionalChanged() {
    this.#tell({ type: "provisional", provisional: this.provisional });
  }

  /** The log has it, or it is never taken. */
  #settle(client_id) {
    const waiting = this.#unsent.get(client_id);
    if (this.#unsent.delete(client_id)) this.#unsentChanged();
    return waiting;
  }

  #refused({ code, message, client_id, retry_after_ms }) {
    const error = new AurenError(message, code);
    const waiting = this.#unsent.get(client_id);
    if (waiting && retry_after_ms !== undefined) {
      setTimeout(() => this.#unsent.has(client_id) && this.#say({ type: "send", ...waiting.message }), retry_after_ms);
      return;
    }
    this.#settle(client_id)?.reject?.(error);
    this.#tell({ type: "error", error });
  }

  /** Notices a connection that is dead and does not say so: a browser does not show the server's pings. */
  #guard(heartbeat_ms) {
    clearInterval(this.#watch);
    this.#watch = setInterval(() => {
      const silent = Date.now() - this.#heard;
      if (silent > heartbeat_ms * 2) this.#again();
      else if (silent >= heartbeat_ms) this.#say({ type: "ping" });
    }, heartbeat_ms / 2);
    this.#watch.unref?.();
  }

  // ── what is said ──

  #say(frame) {
    if (this.#state !== "open") return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #ask(frame) {
    if (!this.#say(frame)) this.#asked.push(frame);
  }

  #be(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.#tell({ type: "state", state });
  }

  #tell(notice) {
    tell(this.#notices, notice);
  }

  // ── what survives ──

  async #restore() {
    let saved;
    try {
      saved = await this.#store?.load();
    } catch (error) {
      this.#tell({ type: "error", error: new AurenError(`what was kept cannot be read: ${error.message}`, "store") });
    }
    this.#cursor = saved?.cursor ?? this.#after;
    const since = [...this.#unsent.values()];
    this.#unsent.clear();
    for (const message of saved?.unsent ?? []) this.#unsent.set(message.client_id, { message });
    for (const waiting of since) this.#unsent.set(waiting.message.client_id, waiting);
    this.#restored = true;
    if (this.#unsent.size) this.#unsentChanged();
  }

  #unsentChanged() {
    this.#tell({ type: "unsent", unsent: this.unsent });
    this.#save();
  }

  #save() {
    // What was kept before must not be written over unread.
    if (!this.#store || !this.#restored) return;
    const failed = (error) =>
      this.#tell({ type: "error", error: new AurenError(`the place cannot be kept: ${error.message}`, "store") });
    try {
      Promise.resolve(this.#store.save({ cursor: this.#cursor, unsent: this.unsent })).catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}

export function webStorage(key, storage = globalThis.localStorage) {
  return {
    load: () => JSON.parse(storage.getItem(key) ?? "null"),
    save: (saved) => storage.setItem(key, JSON.stringify(saved)),
  };
}

export function conversation(client, { limit = 400 } = {}) {
  const listeners = new Set();
  let room = limit;
  let now = {
    state: client.state, events: [], provisional: [], unsent: client.unsent, older: false, gap: false, error: undefined,
  };
  const change = (changed) => {
    const events = changed.events ?? now.events;
    // A message whose event is shown is not shown as unsent beside it until its acknowledgement comes.
    const shown = new Set(events.map(({ event }) => event.metadata.client_id));
    const unsent = client.unsent.filter(({ client_id }) => !shown.has(client_id));
    now = { ...now, state: client.state, unsent, provisional: client.provisional, ...changed };
    tell(listeners);
  };
  client.onEvent((placed) => {
    const all = [...now.events, placed];
    const first = now.events.length === 0;
    change({ events: all.slice(-room), older: (first ? client.older : now.older) || all.length > room });
  });
  client.onNotice((notice) => {
    if (notice.type === "gap") change({ gap: true });
    else if (notice.type === "error") change({ error: notice.error });
    else change(notice.state === "open" ? { error: undefined } : {});
  });
  return {
    subscribe: (changed) => listen(listeners, changed),
    snapshot: () => now,
    async loadOlder(count = 50) {
      const before = now.events[0]?.cursor;
      if (before === undefined) return;
      const { events, prev } = await client.page({ before, limit: count });
      // Somebody else has loaded them meanwhile.
      if (now.events[0]?.cursor !== before) return;
      room += events.length;
      change({ events: [...events, ...now.events], older: prev !== undefined });
    },
  };
}

function listen(listeners, listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(listeners, value) {
  for (const listener of [...listeners]) {
    try {
      listener(value);
    } catch (error) {
      // It is the listener's own, and the others hear all the same.
      setTimeout(() => {
        throw error;
      });
    }
  }
}

/** Two places of one person's lie in one partition. */
const offset = (cursor) => Number(cursor.split(":")[1]);

function newId() {
  if (globalThis.crypto?.randomUUID) return crypto.randomUUID();
  // Pages without a secure context have no randomUUID.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
