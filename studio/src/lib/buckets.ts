/** A metric's course as summaries of neighbouring points, so that a chart of a million points is one of a thousand. */

import type { MetricValue } from "./format";

export interface Bucket {
  firstStep: number | null;
  lastStep: number | null;
  time: number;
  min: number | null;
  max: number | null;
  mean: number | null;
  /** All its points, those without a finite value too. */
  count: number;
}

export interface Series {
  buckets: readonly Bucket[];
  /** How many points are in it: where the next ones begin. */
  points: number;
}

export type Point = readonly [step: number | null, time: number, value: MetricValue];
export type WireBucket = readonly [
  number | null, number | null, number, MetricValue | null, MetricValue | null, MetricValue | null, number,
];

export const EMPTY: Series = { buckets: [], points: 0 };

export function fromWire(buckets: readonly WireBucket[]): Series {
  const read = buckets.map(([firstStep, lastStep, time, min, max, mean, count]) => ({
    firstStep, lastStep, time, min: finite(min), max: finite(max), mean: finite(mean), count,
  }));
  return { buckets: read, points: read.reduce((sum, bucket) => sum + bucket.count, 0) };
}

/** With new points at its end; when it has grown beyond `most`, neighbours are put together. */
export function appended(series: Series, points: readonly Point[], most = 2000): Series {
  if (!points.length) return series;
  let buckets = [...series.buckets, ...points.map(ofPoint)];
  while (buckets.length > most) buckets = halved(buckets);
  return { buckets, points: series.points + points.length };
}

export function merged(a: Bucket, b: Bucket): Bucket {
  return {
    firstStep: a.firstStep ?? b.firstStep,
    lastStep: b.lastStep ?? a.lastStep,
    time: a.time,
    min: either(a.min, b.min, Math.min),
    max: either(a.max, b.max, Math.max),
    mean: either(a.mean, b.mean, (x, y) => x + (y - x) * (b.count / (a.count + b.count))),
    count: a.count + b.count,
  };
}

export interface Columns {
  x: number[];
  mean: (number | null)[];
  min: (number | null)[];
  max: (number | null)[];
  /** Where a value was NaN or infinite: a gap that should be seen. */
  gaps: number[];
}

export type Axis = "step" | "time";

/** What is drawn.  Time counts from `origin`; points without a step are counted instead. */
export function columns(series: Series, axis: Axis, origin: number): Columns {
  const out: Columns = { x: [], mean: [], min: [], max: [], gaps: [] };
  let count = 0;
  for (const bucket of series.buckets) {
    count += bucket.count;
    let x = axis === "time" ? bucket.time - origin : (bucket.lastStep ?? count);
    const before = out.x.at(-1);
    if (before !== undefined && x <= before) x = axis === "time" ? before + 1e-6 : before === x ? before : x;
    out.x.push(x);
    out.mean.push(bucket.mean);
    out.min.push(bucket.min);
    out.max.push(bucket.max);
    if (bucket.mean === null) out.gaps.push(x);
  }
  return ascending(out.x) ? out : sorted(out);
}

/** Whether any point says its step. */
export function hasSteps(series: Series): boolean {
  return series.buckets.some((bucket) => bucket.lastStep !== null);
}

function ofPoint([step, time, value]: Point): Bucket {
  const number = finite(value);
  return { firstStep: step, lastStep: step, time, min: number, max: number, mean: number, count: 1 };
}

function halved(buckets: readonly Bucket[]): Bucket[] {
  const out: Bucket[] = [];
  for (let i = 0; i < buckets.length; i += 2) {
    const [a, b] = [buckets[i] as Bucket, buckets[i + 1]];
    out.push(b ? merged(a, b) : a);
  }
  return out;
}

function finite(value: MetricValue | null): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function either(a: number | null, b: number | null, both: (x: number, y: number) => number): number | null {
  return a === null ? b : b === null ? a : both(a, b);
}

function ascending(x: readonly number[]): boolean {
  return x.every((value, i) => i === 0 || value >= (x[i - 1] as number));
}

/** Steps may begin again (a second fit in one Run): a chart needs them in order. */
function sorted(columns: Columns): Columns {
  const order = columns.x.map((_, i) => i).sort((a, b) => (columns.x[a] as number) - (columns.x[b] as number));
  const pick = <T>(values: readonly T[]) => order.map((i) => values[i] as T);
  return { x: pick(columns.x), mean: pick(columns.mean), min: pick(columns.min), max: pick(columns.max), gaps: columns.gaps };
}
