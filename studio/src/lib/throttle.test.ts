import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { throttled } from "./throttle";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("works at once, then at most once in a while, and never loses the last call", () => {
  let done = 0;
  const call = throttled(() => done++, 100);
  for (let i = 0; i < 5; i++) call();
  expect(done).toBe(1);
  vi.advanceTimersByTime(100);
  expect(done).toBe(2);
  vi.advanceTimersByTime(1000);
  expect(done).toBe(2);
  call();
  call();
  call.cancel();
  vi.advanceTimersByTime(1000);
  expect(done).toBe(3);
});
