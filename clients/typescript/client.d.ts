/** A place in `conversations.events`, `partition:offset`, or `earliest`. */
export type Cursor = string;

/** An event as it stands in `conversations.events`. */
export interface ConversationEvent {
  event_id: string;
  conversation_id: string;
  user_id: string;
  /** Who speaks: an agent, `user`, or `auren`. */
  specialist_id: string;
  message_type: "user_input" | "specialist_response" | "system_message" | (string & {});
  content: string;
  metadata: EventMetadata;
  /** RFC 3339 with an offset. */
  timestamp: string;
  [field: string]: unknown;
}

/** What goes with an event. */
export interface EventMetadata {
  /** The id of the trigger or message that brought it about. */
  cause: string;
  cause_type: "trigger" | "message" | (string & {});
  /** The turn it belongs to, which `stop` names. */
  turn: number;
  trigger_type?: string;
  /** 0 to 1. */
  severity?: number;
  consult_id?: string;
  agent_version?: string;
  /** Which speaker of how many, from 1, and the events of those it has heard. */
  panel?: { seat: number; seats: number; mode?: "parallel" | "first" | (string & {}); read?: string[]; missing?: string[]; last?: boolean };
  findings?: Finding[];
  /** 0 to 1. */
  confidence?: number;
  reasons?: string[];
  hand_off?: { to: string; reason: string };
  note?: string;
  /** Of a person's own message: the id that its client gave it. */
  client_id?: string;
  /** Of a system message: which, for programs. */
  code?: string;
  [field: string]: unknown;
}

/** One thing that an agent found. */
export interface Finding {
  subject: string;
  statement: string;
  /** 0 to 1. */
  confidence: number;
  /** The events it rests on. */
  events?: string[];
  /** What else could explain it. */
  alternatives?: string[];
}

/** An event and its place. */
export interface Placed {
  cursor: Cursor;
  event: ConversationEvent;
}

/** `connecting`, `open`, `waiting` for the next attempt, or `closed` for good. */
export type State = "connecting" | "open" | "waiting" | "closed";

/** A message that the log is not known to have. */
export interface Unsent {
  client_id: string;
  text: string;
  to?: string;
}

/** What survives a reload. */
export interface Saved {
  cursor: Cursor;
  unsent: Unsent[];
}

/** Where that is kept. */
export interface Store {
  load(): Saved | undefined | null | Promise<Saved | undefined | null>;
  save(saved: Saved): void | Promise<void>;
}

export interface ClientOptions {
  /** `http://` or `https://` and the address of a node; with several, the next one is tried where one is away. */
  url: string | readonly string[];
  /** A JSON Web Token with the scope `chat`, or what gets one: it is asked again when one has expired. */
  token: string | (() => string | Promise<string>);
  /** Where to begin where the store has nothing: the oldest that is kept (the default), or behind a place. */
  after?: Cursor;
  /** Begin with so many of the newest events instead (at most 500). */
  recent?: number;
  /** Where cursor and unsent messages are kept; in memory by default. */
  store?: Store;
  /** Another WebSocket than the platform's. */
  WebSocket?: new (url: string, protocol: string) => WebSocket;
}

/** What an agent is about, and what it has said so far. It may be withdrawn, until its event replaces it. */
export interface Provisional {
  /** The turn it answers, which `stop` names. */
  turn: number;
  agent: string;
  /** `done` until its event comes. */
  state: "thinking" | "answering" | "done";
  /** Which asking of the question its text is of. */
  attempt: number;
  text: string;
}

/** Some events, oldest first. */
export interface Page {
  events: Placed[];
  /** Behind them: where to go on with `after`. */
  next: Cursor;
  /** Where to go on with `before`; none where nothing older is kept. */
  prev?: Cursor;
  /** Whether there is more behind them already. */
  more: boolean;
  /** Where it begins instead of the place asked for, when older events are not kept any more. */
  gap?: Cursor;
}

/** Why a client has ended, or why a message was not taken. */
export class AurenError extends Error {
  /** The close code, the HTTP status, or the code of an `error` frame. */
  readonly code: number | string;
}

/** What a client tells, besides events. */
export type Notice =
  | { type: "state"; state: State }
  /** A message has become unsent, or is no longer. */
  | { type: "unsent"; unsent: readonly Unsent[] }
  /** What agents say before it is committed has changed. */
  | { type: "provisional"; provisional: readonly Provisional[] }
  /** The log has it that everything up to there has been seen. */
  | { type: "marked"; cursor: Cursor }
  /** What lies between the two places is not kept any more. */
  | { type: "gap"; after: Cursor; resumes_at: Cursor }
  /** Something that was asked for was not done. */
  | { type: "error"; error: AurenError };

export class AurenClient {
  constructor(options: ClientOptions);
  readonly state: State;
  /** The place of the last event; none before the first connection with `recent`. */
  readonly cursor: Cursor | undefined;
  /** Whether there are older events than those it began with. Known with `recent` only. */
  readonly older: boolean;
  /** What agents say before it is committed, as far as this connection was told. */
  readonly provisional: readonly Provisional[];
  /** Messages that the log is not known to have, oldest first. */
  readonly unsent: readonly Unsent[];
  /** How far the person has seen everything, as far as this client knows: by its own marks, and by `loadMarked`. */
  readonly marked: Cursor | undefined;
  /** Asks how far the person has seen everything, on whichever device. */
  loadMarked(): Promise<Cursor | undefined>;
  /** Connects, and comes back whenever the connection is lost, until `close`. */
  connect(): this;
  /** Says something. It is kept over lost connections and sent again under its id until the log has it. */
  send(text: string, options?: { to?: string; client_id?: string }): Promise<{ client_id: string; cursor: Cursor }>;
  /** Takes back what is being answered. */
  stop(turn: number): void;
  /** Says that everything up to a place (the last event, where none is named) has been seen. */
  seen(cursor?: Cursor): void;
  /** Events behind a place, or before one (`latest` for the newest). The client's own place stays. */
  page(asked?: { after?: Cursor; before?: Cursor | "latest"; limit?: number }): Promise<Page>;
  /** What an event rests on, step by step (`GET /v1/why`); rejects with code 404 where the hub keeps no history. */
  why(event_id: string): Promise<unknown>;
  /** Every event from now on, in order, each once; returns what ends it. */
  onEvent(listener: (placed: Placed) => void): () => void;
  /** Every notice; returns what ends it. */
  onNotice(listener: (notice: Notice) => void): () => void;
  /** Every event from now on; ends when the client is closed, and fails where it ended otherwise. */
  events(): AsyncIterableIterator<Placed>;
  /** Ends it for good. Messages that are unsent stay in the store. */
  close(): void;
}

/** Keeps a client's place under a key of the browser's storage. */
export function webStorage(key: string, storage?: Storage): Store;

/** A conversation as something to show. */
export interface Snapshot {
  readonly state: State;
  readonly events: readonly Placed[];
  /** What agents say before it is committed; show it behind the events. */
  readonly provisional: readonly Provisional[];
  readonly unsent: readonly Unsent[];
  /** Whether `loadOlder` has more to load. */
  readonly older: boolean;
  /** Whether older events are not kept any more. */
  readonly gap: boolean;
  readonly error: AurenError | undefined;
}

/** A conversation for frameworks that show values: `snapshot()` is the same object until something changes. */
export interface Conversation {
  subscribe(changed: () => void): () => void;
  snapshot(): Snapshot;
  /** Puts older events before those that are shown: 50, unless something else is said. */
  loadOlder(count?: number): Promise<void>;
}

/** Gathers a client's newest events (400 by default). Make it before `connect`. */
export function conversation(client: AurenClient, options?: { limit?: number }): Conversation;
