/** What the table of Runs shows, and its way into the address and back. */

export interface Sort {
  what: string;
  descending: boolean;
}

export const NEWEST: Sort = { what: "created", descending: true };

export function sortOf(text: string | null): Sort {
  if (!text) return NEWEST;
  return text.startsWith("-") ? { what: text.slice(1), descending: true } : { what: text, descending: false };
}

export function sortText({ what, descending }: Sort): string {
  return descending ? `-${what}` : what;
}

/** Another column first shows its greatest; the same one turns round. */
export function sortedBy(sort: Sort, what: string): Sort {
  return { what, descending: sort.what === what ? !sort.descending : what !== "name" && what !== "status" };
}

/** Names from the address; null: nobody chose, so what seems best is shown. */
export function columnsOf(text: string | null): string[] | null {
  if (text === null) return null;
  return text === "none" ? [] : text.split(",").filter(Boolean).map((name) => name.replaceAll("%2C", ","));
}

export function columnsText(names: readonly string[]): string {
  return names.length ? names.map((name) => name.replaceAll(",", "%2C")).join(",") : "none";
}

/** The value at a dotted name of a config: nested, or of a key that has the dots in it. */
export function configValue(config: Record<string, unknown>, name: string): unknown {
  if (name in config) return config[name];
  let value: unknown = config;
  for (const part of name.split(".")) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

/** The dotted names of a config's values, outermost first. */
export function configNames(config: Record<string, unknown>, prefix = ""): string[] {
  return Object.entries(config).flatMap(([key, value]) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? configNames(value as Record<string, unknown>, `${prefix}${key}.`)
      : [prefix + key],
  );
}
