/** The versions of a parameter, and which of them a version was made from. */

export interface Version {
  parameter: string;
  version: number;
  status: "initial" | "proposed" | "kept" | "undone";
  value: unknown;
}

export interface Parameter<V extends Version> {
  name: string;
  versions: V[];
}

export function byParameter<V extends Version>(versions: readonly V[]): Parameter<V>[] {
  const found = new Map<string, V[]>();
  for (const version of versions) {
    const known = found.get(version.parameter);
    if (known) known.push(version);
    else found.set(version.parameter, [version]);
  }
  return [...found].map(([name, each]) => ({ name, versions: [...each].sort((a, b) => a.version - b.version) }));
}

/** The version that was in force before: the newest earlier one that was not undone. */
export function baseOf<V extends Version>(versions: readonly V[], version: V): V | null {
  return versions.filter((each) => each.version < version.version && each.status !== "undone").at(-1) ?? null;
}

/** The one whose value is used at the end: the newest that was not undone. */
export function current<V extends Version>(versions: readonly V[]): V | null {
  return versions.filter((each) => each.status !== "undone").at(-1) ?? null;
}

export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return value === null || value === undefined ? "" : JSON.stringify(value, null, 2);
}
