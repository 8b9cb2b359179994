/** Which of the things we have read a hint makes old. */

export interface Hint {
  run_id: string;
  what: string[];
  status?: string | null;
}

/** The part of a Run that a query shows: the second word of its key, after the Run's id. */
export type Part = "facts" | "family" | "overview" | "output" | "metrics" | "metric" | "calls" | "call" | "cost" | "prompts" | "events" | "artifacts" | "texts";

const PARTS: Record<string, readonly Part[]> = {
  status: ["facts", "family", "overview", "output", "cost"],
  facts: ["facts"],
  metrics: ["metrics", "metric"],
  calls: ["facts", "calls", "cost", "overview"],
  prompts: ["prompts"],
  events: ["events", "overview"],
  artifacts: ["artifacts"],
  texts: ["texts"],
  deleted: ["facts"],
};

export function parseHint(data: string): Hint | null {
  try {
    const hint = JSON.parse(data) as Partial<Hint>;
    return typeof hint.run_id === "string" && Array.isArray(hint.what) ? (hint as Hint) : null;
  } catch {
    return null;
  }
}

export function oldParts(hint: Hint): Part[] {
  return [...new Set(hint.what.flatMap((what) => PARTS[what] ?? []))];
}

/** Whether a table of Runs shows something that has changed. */
export function touchesListing(hint: Hint): boolean {
  return hint.what.some((what) => ["status", "facts", "metrics", "calls", "deleted"].includes(what));
}
