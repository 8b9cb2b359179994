/** Whether the server answers, and whether we are signed in.  The one place that knows. */

import { makeStore } from "../lib/store";

export type ConnectionState = "online" | "offline" | "signed-out";

const state = makeStore<ConnectionState>("online");
const outdated = makeStore(false);
const returned = new Set<() => void>();

const FIRST_WAIT = 500;
const LONGEST_WAIT = 5000;

let version: string | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
let wait = FIRST_WAIT;

export const connection = {
  state,
  /** The server is of another version than it was when the page was loaded. */
  outdated,
  /** Called each time the server is there again, or somebody signed in: what is shown may be old. */
  onReturn(listener: () => void): () => void {
    returned.add(listener);
    return () => returned.delete(listener);
  },
  answered(serverVersion: string | null): void {
    version ??= serverVersion;
    if (serverVersion !== null && serverVersion !== version) outdated.set(true);
    if (state.get() === "offline") back();
  },
  failed(): void {
    if (state.get() === "offline") return;
    clearTimeout(timer);
    state.set("offline");
    wait = FIRST_WAIT;
    look();
  },
  signedOut(): void {
    if (state.get() === "signed-out") return;
    clearTimeout(timer);
    state.set("signed-out");
    wait = 2000;
    look();
  },
  /** Look now whether the server is there. */
  retry(): void {
    wait = FIRST_WAIT;
    clearTimeout(timer);
    void attempt();
  },
};

function look(): void {
  clearTimeout(timer);
  timer = setTimeout(() => void attempt(), wait);
  wait = Math.min(wait * 1.6, LONGEST_WAIT);
}

async function attempt(): Promise<void> {
  const before = state.get();
  if (before === "online") return;
  try {
    const response = await fetch(before === "offline" ? "/healthz" : "/api/v1/me", { cache: "no-store" });
    if (response.ok) {
      connection.answered(response.headers.get("X-Tellurio-Version"));
      if (state.get() !== "online") back();
      return;
    }
  } catch {
    // not yet
  }
  if (state.get() !== "online") look();
}

function back(): void {
  clearTimeout(timer);
  state.set("online");
  for (const listener of [...returned]) listener();
}
