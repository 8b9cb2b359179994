/** What is typed over the Runs: words to search for, and conditions such as `metrics.loss<0.5` or `status:running`. */

export type Operator = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~";

export interface Condition {
  what: string;
  op: Operator;
  value: string;
}

export interface Search {
  words: string;
  conditions: Condition[];
  /** What cannot be meant as it is written; the rest holds. */
  problems: string[];
}

const STATUSES = ["RUNNING", "COMPLETED", "CRASHED", "FAILED", "DRAFT"] as const;
export type StatusName = (typeof STATUSES)[number];

const KINDS = ["run", "recording", "subrun", "rerun"] as const;
export type KindName = (typeof KINDS)[number];

const TOKEN = /"(?:[^"\\]|\\.)*"|[^\s"]+(?:"(?:[^"\\]|\\.)*")?|"/g;
const CONDITION = /^([A-Za-z_][^\s:=!<>~"]*)(!=|<=|>=|=|<|>|~|:)(.*)$/s;
const FIELDS = new Set([
  ...["status", "kind", "name", "description", "notes", "user", "tags"],
  ...["created", "updated", "ended", "duration", "cost", "calls"],
]);
const TEXTS = new Set(["name", "description", "notes", "user", "tags"]);

export function parseSearch(text: string): Search {
  const search: Search = { words: "", conditions: [], problems: [] };
  const words: string[] = [];
  for (const token of text.match(TOKEN) ?? []) {
    const found = CONDITION.exec(token);
    if (!found || !known(found[1] as string)) words.push(unquoted(token));
    else condition(search, found[1] as string, found[2] as string, unquoted(found[3] as string));
  }
  search.words = words.filter(Boolean).join(" ");
  return search;
}

/** As the API takes it: `what:op:value`. */
export function filterParameters(search: Search): string[] {
  return search.conditions.map(({ what, op, value }) => `${what}:${op}:${value}`);
}

export function statusOf(text: string): StatusName | null {
  const found = parseSearch(text).conditions.find(({ what, op }) => what === "status" && op === "=");
  return (found?.value as StatusName | undefined) ?? null;
}

/** The same text with another status, or without one. */
export function withStatus(text: string, status: StatusName | null): string {
  const rest = (text.match(TOKEN) ?? []).filter((token) => !/^status[:=]/.test(token));
  return [...(status ? [`status:${status.toLowerCase()}`] : []), ...rest].join(" ");
}

export function kindOf(text: string): KindName | null {
  const found = parseSearch(text).conditions.find(({ what, op }) => what === "kind" && op === "=");
  return (found?.value as KindName | undefined) ?? null;
}

/** The same text with another kind, or without one. */
export function withKind(text: string, kind: KindName | null): string {
  const rest = (text.match(TOKEN) ?? []).filter((token) => !/^kind[:=]/.test(token));
  return [...rest, ...(kind ? [`kind:${kind}`] : [])].join(" ");
}

function known(what: string): boolean {
  return FIELDS.has(what) || /^(metrics|config)\../.test(what);
}

function condition(search: Search, what: string, written: string, value: string): void {
  if (value === "") return; // it is still being typed
  const op = written === ":" ? (loose(what) ? "~" : "=") : (written as Operator);
  if (what === "status") {
    const status = STATUSES.find((each) => each === value.toUpperCase());
    if (!status) search.problems.push(`status: expected running, completed, crashed or failed, not “${value}”`);
    else search.conditions.push({ what, op, value: status });
  } else if (what === "kind") {
    const kind = KINDS.find((each) => each === value.toLowerCase());
    if (!kind) search.problems.push(`kind: expected run, recording, subrun or rerun, not “${value}”`);
    else search.conditions.push({ what, op, value: kind });
  } else if (what.startsWith("metrics.") && Number.isNaN(Number(value))) {
    search.problems.push(`${what}: expected a number, not “${value}”`);
  } else search.conditions.push({ what, op, value });
}

/** In texts ":" means "contains". */
function loose(what: string): boolean {
  return TEXTS.has(what) || what.startsWith("config.");
}

function unquoted(token: string): string {
  const inner = /^"((?:[^"\\]|\\.)*)"?$/s.exec(token);
  return inner ? (inner[1] as string).replace(/\\(.)/g, "$1") : token.replace(/^"/, "");
}
