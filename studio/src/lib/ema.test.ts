import { describe, expect, it } from "vitest";
import { ema } from "./ema";

describe("smoothing", () => {
  it("of weight 0 changes nothing", () => expect(ema([1, null, 3], 0)).toEqual([1, null, 3]));
  it("keeps a constant constant", () => {
    for (const weight of [0.1, 0.6, 0.99]) for (const value of ema(Array(50).fill(4.2), weight)) expect(value).toBeCloseTo(4.2);
  });
  it("begins at the first value, not at 0", () => expect(ema([10, 20], 0.9)[0]).toBeCloseTo(10));
  it("stays within the range of what it has seen", () => {
    const values = Array.from({ length: 200 }, (_, i) => Math.sin(i) * (i % 7));
    const [low, high] = [Math.min(...values), Math.max(...values)];
    for (const value of ema(values, 0.8)) {
      expect(value).toBeGreaterThanOrEqual(low - 1e-9);
      expect(value).toBeLessThanOrEqual(high + 1e-9);
    }
  });
  it("leaves gaps where nothing finite was, and goes on after them", () => {
    expect(ema([1, null, 1, Number.NaN, Infinity, 1], 0.5).map((v) => v === null)).toEqual([false, true, false, true, true, false]);
    expect(ema([1, null, 1], 0.5)[2]).toBeCloseTo(1);
  });
});
