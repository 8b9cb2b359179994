import { useSyncExternalStore } from "react";

/** One clock for everything that counts seconds. */
let now = Date.now() / 1000;
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now() / 1000;
    for (const each of [...listeners]) each();
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (!listeners.size) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

const stopped = () => () => undefined;

/** Unix time, by the second while it runs. */
export function useNow(runs = true): number {
  return useSyncExternalStore(runs ? subscribe : stopped, () => {
    if (!listeners.size) now = Math.max(now, Math.floor(Date.now() / 1000));
    return now;
  });
}
