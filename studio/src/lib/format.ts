/** How numbers, dollars, times and sizes are written.  One way everywhere. */

import { addDecimals, decimalText, parseDecimal, roundDecimal } from "./decimal";

/** A metric's value as the API has it: JSON knows no NaN. */
export type MetricValue = number | "nan" | "inf" | "-inf";

export const NOTHING = "–";

const WORDS: Record<string, string> = { nan: "NaN", inf: "∞", "-inf": "−∞" };

export function isMetricValue(value: unknown): value is MetricValue {
  return typeof value === "number" || (typeof value === "string" && value in WORDS);
}

/** Five significant digits, no needless zeros, exponents only where they shorten. */
export function number(value: MetricValue | null | undefined): string {
  if (value === null || value === undefined) return NOTHING;
  if (typeof value === "string") return WORDS[value] ?? value;
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return minus(group(value));
  if (size >= 1e6 || size < 1e-4) return minus(value.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e"));
  return minus(String(Number(value.toPrecision(5))));
}

export function group(value: number): string {
  return value.toLocaleString("en-US");
}

/** 1234 -> 1.2k: for places where there is no room. */
export function short(value: number): string {
  if (value < 1000) return String(value);
  for (const [unit, sign] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]] as const)
    if (value >= unit) return `${trimmed(value / unit)}${sign}`;
  return String(value);
}

function trimmed(value: number): string {
  return value >= 100 ? String(Math.floor(value)) : String(Math.floor(value * 10) / 10);
}

export interface Money {
  /** What is shown. */
  text: string;
  /** Every digit, for who wants to know exactly. */
  exact: string;
  /** How many calls have no known price and are not in the sum. */
  unpriced: number;
}

/** Dollars that calls add up to.  Calls without a known price are "unpriced", never $0. */
export function money(usd: string | null | undefined, unpriced = 0, calls?: number): Money {
  const value = usd === null || usd === undefined ? null : parseDecimal(usd);
  if (value === null) {
    const none = calls === 0;
    return { text: none ? "$0" : "unpriced", exact: none ? "$0, no calls yet" : "no price is known", unpriced };
  }
  return { text: dollars(usd as string), exact: `$${decimalText(value)}`, unpriced };
}

/** Cents from $1 on; below, what is needed to see something; never rounded to nothing. */
export function dollars(usd: string): string {
  const value = parseDecimal(usd);
  if (value === null) return usd;
  if (value.digits === 0n) return "$0";
  const negative = value.digits < 0n;
  const size = { digits: negative ? -value.digits : value.digits, scale: value.scale };
  const whole = Number(decimalText(roundDecimal(size, 0)));
  const leading = Math.max(0, size.scale - String(size.digits).length);
  const places = whole >= 1 ? 2 : Math.max(4, leading + 2);
  const text = decimalText(roundDecimal(size, places), 2);
  const [integer = "0", part] = text.split(".");
  return `${negative ? "−" : ""}$${BigInt(integer).toLocaleString("en-US")}${part ? `.${part}` : ""}`;
}

/** The exact sum of the amounts that are known; null where none is. */
export function sumOfDollars(amounts: readonly (string | null)[]): string | null {
  const known = amounts.flatMap((usd) => (usd === null ? [] : (parseDecimal(usd) ?? [])));
  const [first, ...rest] = known;
  return first === undefined ? null : decimalText(rest.reduce(addDecimals, first));
}

/** 0.04 s, 3.2 s, 4m 05s, 2h 03m, 3d 4h. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NOTHING;
  const all = Math.max(0, seconds);
  if (all < 0.0995) return `${Math.round(all * 1000)} ms`;
  if (all < 9.95) return `${all.toFixed(1)} s`;
  if (all < 59.5) return `${Math.round(all)} s`;
  const whole = Math.round(all);
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h ${pad(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86_400)}d ${Math.floor((whole % 86_400) / 3600)}h`;
}

/** A running clock shows whole seconds: tenths that race are noise. */
export function clock(seconds: number): string {
  return seconds < 59.5 ? `${Math.max(0, Math.floor(seconds))} s` : duration(seconds);
}

const AGO: readonly (readonly [number, string])[] = [
  [86_400 * 365, "y"],
  [86_400 * 30, "mo"],
  [86_400, "d"],
  [3600, "h"],
  [60, "m"],
];

export function ago(moment: number, now: number): string {
  const seconds = Math.max(0, now - moment);
  for (const [unit, sign] of AGO) if (seconds >= unit) return `${Math.floor(seconds / unit)}${sign} ago`;
  return "just now";
}

export function moment(time: number): string {
  const date = new Date(time * 1000);
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

export function plural(many: number, one: string, more = `${one}s`): string {
  return `${group(many)} ${many === 1 ? one : more}`;
}

/** A score's change, signed: +0.125. */
export function change(before: MetricValue | null, after: MetricValue | null): string | null {
  if (typeof before !== "number" || typeof after !== "number") return null;
  const by = Number((after - before).toPrecision(3));
  return by > 0 ? `+${number(by)}` : by < 0 ? number(by) : "±0";
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

function minus(text: string): string {
  return text.replace(/^-/, "−").replace("e-", "e−");
}
