/** Sums and texts of a recording's overview. */

import type { Marks, ModelSums } from "../api/types";
import { sumOfDollars } from "./format";

export function callsOf(models: readonly ModelSums[]): number {
  return models.reduce((sum, { calls, reused }) => sum + calls + reused, 0);
}

/** All models in one row. */
export function inAll(models: readonly ModelSums[]): ModelSums {
  const sum = (name: "calls" | "reused" | "errors" | "input_tokens" | "output_tokens" | "unpriced" | "seconds") =>
    models.reduce((all, row) => all + row[name], 0);
  return {
    model: "",
    calls: sum("calls"),
    reused: sum("reused"),
    errors: sum("errors"),
    input_tokens: sum("input_tokens"),
    output_tokens: sum("output_tokens"),
    usd: sumOfDollars(models.map(({ usd }) => usd)),
    unpriced: sum("unpriced"),
    seconds: sum("seconds"),
    slowest: Math.max(0, ...models.map(({ slowest }) => slowest)),
  };
}

/** The marks of each Run, by its id. */
export function marksOf(marks: readonly Marks[]): ReadonlyMap<string, Marks> {
  return new Map(marks.map((each) => [each.run, each]));
}

/** A JSON value as a person reads it: a text is itself. */
export function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** The end of a path is what tells files apart. */
export function tail(location: string): string {
  return location.split("/").slice(-2).join("/");
}
