/** One metric's chart, by uPlot: a band of what was between, the values, and the smoothed line. */

import uPlot from "uplot";
import type { Axis, Columns } from "../lib/buckets";
import { ema } from "../lib/ema";
import { duration, number } from "../lib/format";
import { colorOf } from "./colors";

export interface Look {
  axis: Axis;
  log: boolean;
  smoothing: number;
}

export interface Reading {
  x: number;
  value: number | null;
  smooth: number | null;
}

export interface Listener {
  /** What the cursor points at; null: it is elsewhere. */
  reading(reading: Reading | null): void;
  zoomed(zoomed: boolean): void;
}

const FEW = 80;
const STEPS = [1, 2, 5].flatMap((n) => Array.from({ length: 12 }, (_, i) => n * 10 ** i)).sort((a, b) => a - b);
const HEIGHT = 190;

export class Plot {
  private readonly u: uPlot;
  private look: Look;
  private isZoomed = false;

  constructor(
    private readonly place: HTMLElement,
    private columns: Columns,
    look: Look,
    private readonly sync: string,
    private readonly listener: Listener,
  ) {
    this.look = look;
    this.u = new uPlot(this.options(), this.data(), place);
    place.addEventListener("wheel", this.wheel, { passive: false });
  }

  show(columns: Columns, look: Look): void {
    [this.columns, this.look] = [columns, look];
    this.u.setData(this.data(), !this.isZoomed);
    if (this.isZoomed) this.u.redraw();
  }

  resize(): void {
    const width = this.place.clientWidth;
    if (width > 0 && width !== this.u.width) this.u.setSize({ width, height: HEIGHT });
  }

  destroy(): void {
    this.place.removeEventListener("wheel", this.wheel);
    this.u.destroy();
  }

  /** All of it again, in all charts that are zoomed together. */
  reset(): void {
    for (const each of this.together()) each.setData(each.data, true);
  }

  /** To the next point, or the one before. */
  step(by: number): void {
    const x = this.u.data[0];
    if (!x.length) return;
    const now = this.u.cursor.idx ?? (by > 0 ? -1 : x.length);
    const index = Math.min(Math.max(0, now + by), x.length - 1);
    const y = this.u.data[4]?.[index] ?? this.u.data[3]?.[index] ?? 0;
    this.u.setCursor({ left: this.u.valToPos(x[index] as number, "x"), top: this.u.valToPos(y, "y") });
  }

  zoom(factor: number, around?: number): void {
    const { min, max } = this.u.scales["x"] ?? {};
    const [low, high] = this.extent();
    if (min == null || max == null || low === high) return;
    const middle = around ?? (this.u.cursor.idx != null ? (this.u.data[0][this.u.cursor.idx] as number) : (min + max) / 2);
    const next = [Math.max(low, middle - (middle - min) * factor), Math.min(high, middle + (max - middle) * factor)] as const;
    if (next[1] - next[0] <= 0) return;
    for (const each of this.together()) each.setScale("x", { min: next[0], max: next[1] });
  }

  /** Where the chart has the focus, or with a modifier key: else the wheel moves the page. */
  private readonly wheel = (event: WheelEvent): void => {
    if (!event.ctrlKey && !event.metaKey && !this.place.contains(document.activeElement)) return;
    event.preventDefault();
    const left = event.clientX - this.u.over.getBoundingClientRect().left;
    this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.u.posToVal(left, "x"));
  };

  /** The charts whose cursors move together. */
  private together(): readonly uPlot[] {
    return uPlot.sync(this.sync).plots;
  }

  private extent(): [number, number] {
    const { x } = this.columns;
    return [x[0] ?? 0, x.at(-1) ?? 0];
  }

  private data(): uPlot.AlignedData {
    const { x, mean, min, max } = this.columns;
    const fits = (values: (number | null)[]) => (this.look.log ? values.map((v) => (v !== null && v > 0 ? v : null)) : values);
    const smooth = this.look.smoothing > 0 ? ema(mean, this.look.smoothing) : mean.map(() => null);
    return [x, fits(max), fits(min), fits(mean), fits(smooth)];
  }

  private options(): uPlot.Options {
    const [line, muted, grid, accent, soft, bad] = ["--accent", "--muted", "--line", "--accent", "--accent-band", "--bad"].map(colorOf) as [
      string, string, string, string, string, string,
    ];
    const { axis, log } = this.look;
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const faint = colorOf("--accent-faint");
    return {
      width: Math.max(50, this.place.clientWidth),
      height: HEIGHT,
      legend: { show: false },
      padding: [8, 10, 0, 0],
      cursor: {
        sync: { key: this.sync, setSeries: false, scales: ["x", null] },
        drag: { x: true, y: false, dist: 5 },
        points: { size: 7 },
        focus: { prox: -1 },
      },
      scales: {
        x: { time: false, range: (_, low, high) => spread(low, high, axis === "time" ? 1 : 0.5) },
        y: { distr: log ? 3 : 1, range: (_, low, high) => (log ? logRange(low, high) : range(low, high)) },
      },
      bands: [{ series: [1, 2], fill: soft }],
      series: [
        {},
        { stroke: "transparent", width: 0, points: { show: false } },
        { stroke: "transparent", width: 0, points: { show: false } },
        { stroke: () => (this.look.smoothing > 0 ? faint : line), width: 1.5, points: { show: () => this.columns.x.length <= FEW, size: 5, fill: accent } },
        { stroke: accent, width: 2, points: { show: false } },
      ],
      axes: [
        {
          stroke: muted, font, size: 30, grid: { show: false }, ticks: { stroke: grid, size: 4 }, space: 70,
          ...(axis === "step" ? { incrs: STEPS } : {}),
          values: (_, splits) => splits.map((x) => (axis === "time" ? (x === 0 ? "0" : duration(x)) : number(x))),
        },
        {
          stroke: muted, font, size: 56, grid: { stroke: grid, width: 1 }, ticks: { show: false }, space: 34,
          values: (_, splits) => splits.map((y) => (y === null ? "" : number(y))),
        },
      ],
      hooks: {
        setCursor: [(u) => this.listener.reading(this.reading(u))],
        setScale: [
          (u, key) => {
            if (key !== "x") return;
            const [low, high] = this.extent();
            const { min, max } = u.scales["x"] ?? {};
            this.isZoomed = low < high && ((min ?? low) > low || (max ?? high) < high);
            this.listener.zoomed(this.isZoomed);
          },
        ],
        draw: [(u) => this.drawGaps(u, bad)],
      },
    };
  }

  private reading(u: uPlot): Reading | null {
    const { idx, left } = u.cursor;
    if (idx == null || left == null || left < 0) return null;
    return { x: u.data[0][idx] as number, value: u.data[3]?.[idx] ?? null, smooth: u.data[4]?.[idx] ?? null };
  }

  /** Values that were NaN or infinite: crosses at the foot, so that a gap is not taken for silence. */
  private drawGaps(u: uPlot, color: string): void {
    const { ctx } = u;
    const y = u.bbox.top + u.bbox.height - 6 * devicePixelRatio;
    const size = 3 * devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = color;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.beginPath();
    for (const gap of this.columns.gaps) {
      const x = u.valToPos(gap, "x", true);
      if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
      ctx.moveTo(x - size, y - size);
      ctx.lineTo(x + size, y + size);
      ctx.moveTo(x + size, y - size);
      ctx.lineTo(x - size, y + size);
    }
    ctx.stroke();
    ctx.restore();
  }
}

function spread(low: number | null, high: number | null, by: number): [number, number] {
  if (low === null || high === null) return [0, 1];
  return low === high ? [low - by, high + by] : [low, high];
}

function range(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  if (low === high) return [low - Math.max(Math.abs(low) * 0.1, 0.1), high + Math.max(Math.abs(high) * 0.1, 0.1)];
  const pad = (high - low) * 0.08;
  return [low - pad, high + pad];
}

function logRange(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null || high <= 0) return [0.1, 1];
  return uPlot.rangeLog(Math.max(low, Number.MIN_VALUE), high, 10, false) as [number, number];
}
