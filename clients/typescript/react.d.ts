import type { Conversation, Snapshot } from "./client.js";

/** A conversation as it is now; renders again when it changes. */
export function useConversation(conversation: Conversation): Snapshot;
