import { describe, expect, it } from "vitest";
import { appended, columns, EMPTY, fromWire, hasSteps, merged, type Point } from "./buckets";

const points = (values: number[], from = 1): Point[] => values.map((value, i) => [from + i, 1000 + from + i, value]);

describe("a series", () => {
  it("of few points holds each of them", () => {
    const series = appended(EMPTY, points([3, 1, 2]));
    expect(columns(series, "step", 0)).toEqual({ x: [1, 2, 3], mean: [3, 1, 2], min: [3, 1, 2], max: [3, 1, 2], gaps: [] });
  });
  it("knows where the next points begin", () => {
    const series = fromWire([[1, 10, 5, 0, 9, 4.5, 10], [11, 20, 15, 0, 9, 4.5, 10]]);
    expect(series.points).toBe(20);
    expect(appended(series, points([1, 2])).points).toBe(22);
  });
  it("never has more than so many summaries, and loses no point, minimum or maximum", () => {
    let series = EMPTY;
    const values = Array.from({ length: 5000 }, (_, i) => Math.sin(i / 50) * i);
    for (let i = 0; i < values.length; i += 7) series = appended(series, points(values.slice(i, i + 7), i + 1), 300);
    expect(series.buckets.length).toBeLessThanOrEqual(300);
    expect(series.points).toBe(5000);
    expect(series.buckets.reduce((sum, b) => sum + b.count, 0)).toBe(5000);
    expect(Math.min(...series.buckets.map((b) => b.min ?? 0))).toBe(Math.min(...values));
    expect(Math.max(...series.buckets.map((b) => b.max ?? 0))).toBe(Math.max(...values));
  });
  it("says where values were not finite", () => {
    const series = appended(EMPTY, [[1, 1, 1], [2, 2, "nan"], [3, 3, "inf"], [4, 4, 2]]);
    expect(columns(series, "step", 0)).toMatchObject({ mean: [1, null, null, 2], gaps: [2, 3] });
  });
});

describe("merging", () => {
  it("weighs means by their points", () => {
    const [a, b] = fromWire([[1, 3, 0, 0, 2, 1, 3], [4, 4, 9, 5, 5, 5, 1]]).buckets;
    expect(merged(a!, b!)).toEqual({ firstStep: 1, lastStep: 4, time: 0, min: 0, max: 5, mean: 2, count: 4 });
  });
  it("with nothing finite keeps what is", () => {
    const [a, b] = fromWire([[1, 1, 0, null, null, null, 1], [2, 2, 1, 7, 7, 7, 1]]).buckets;
    expect(merged(a!, b!)).toMatchObject({ min: 7, max: 7, mean: 7, count: 2 });
  });
});

describe("the axis", () => {
  it("counts where nobody said a step", () => {
    const series = appended(EMPTY, [[null, 5, 1], [null, 7, 2]]);
    expect(hasSteps(series)).toBe(false);
    expect(columns(series, "step", 0).x).toEqual([1, 2]);
    expect(columns(series, "time", 5).x).toEqual([0, 2]);
  });
  it("is in order when steps begin again", () => {
    const series = appended(EMPTY, [[1, 1, 10], [3, 2, 30], [2, 3, 20]]);
    expect(columns(series, "step", 0)).toMatchObject({ x: [1, 2, 3], mean: [10, 20, 30] });
  });
  it("of time never goes back or stands still", () => {
    const series = appended(EMPTY, [[1, 5, 1], [2, 5, 2], [3, 4, 3]]);
    const { x } = columns(series, "time", 0);
    expect(x[0]! < x[1]! && x[1]! < x[2]!).toBe(true);
  });
});
