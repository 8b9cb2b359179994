/** Follows a live stream of the server, for ever: comes back after each break, and says where it was. */

import { ask } from "../api/client";
import { isRefused } from "../api/errors";
import { connection } from "./connection";
import { EventReader } from "./sse";

export interface Listener {
  /** Something has changed: the data of the event. */
  changed(data: string): void;
  /** Anything may have changed. */
  reset(): void;
}

/** Without a word for so long the line is taken for dead; the server says something every 15 s. */
const SILENCE = 40_000;
const LONGEST_WAIT = 8000;

export function follow(url: string, listener: Listener): () => void {
  const stopped = new AbortController();
  void run(url, listener, stopped.signal);
  return () => stopped.abort();
}

async function run(url: string, listener: Listener, stopped: AbortSignal): Promise<void> {
  let last: string | null = null;
  let wait = 250;
  while (!stopped.aborted) {
    const line = new AbortController();
    const stop = () => line.abort();
    stopped.addEventListener("abort", stop);
    try {
      for await (const event of events(url, last, line)) {
        last = event.id ?? last;
        wait = 250;
        if (event.kind === "hello" && !resumed(event.data)) listener.reset();
        else if (event.kind === "reset") listener.reset();
        else if (event.kind === "changed") listener.changed(event.data);
      }
    } catch (error) {
      if (isRefused(error, 403, 404, 422)) return; // the page itself says so
    } finally {
      stopped.removeEventListener("abort", stop);
      line.abort();
    }
    await pause(wait, stopped);
    wait = Math.min(wait * 2, LONGEST_WAIT);
    await online(stopped);
  }
}

async function* events(url: string, last: string | null, line: AbortController) {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (last !== null) headers["Last-Event-ID"] = last;
  const response = await ask(url, { headers, signal: line.signal });
  if (!response.body) return;
  const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const reader = new EventReader();
  for (;;) {
    const silence = setTimeout(() => line.abort(), SILENCE);
    const { done, value } = await pieces.read().finally(() => clearTimeout(silence));
    if (done) return;
    yield* reader.take(value);
  }
}

function resumed(data: string): boolean {
  try {
    return (JSON.parse(data) as { resumed?: unknown }).resumed === true;
  } catch {
    return false;
  }
}

/** Until the time is over, the page is left, or the server is known to be back. */
function pause(milliseconds: number, stopped: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      forget();
      stopped.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    const forget = connection.onReturn(done);
    stopped.addEventListener("abort", done);
  });
}

function online(stopped: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stopped.aborted || connection.state.get() === "online") return resolve();
    const done = () => {
      forget();
      stopped.removeEventListener("abort", done);
      resolve();
    };
    const forget = connection.onReturn(done);
    stopped.addEventListener("abort", done);
  });
}
