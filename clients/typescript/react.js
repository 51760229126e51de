import { useSyncExternalStore } from "react";

export function useConversation({ subscribe, snapshot }) {
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}
