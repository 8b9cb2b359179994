/** The parts of a recording as a list, each below the one it is a part of. */

export interface Part {
  id: string;
  parent: string | null;
}

export interface Placed<T> {
  part: T;
  /** How many parts it is within. */
  depth: number;
}

export function placed<T extends Part>(root: string, parts: readonly T[]): Placed<T>[] {
  const inside = new Map<string, T[]>();
  for (const part of parts) {
    const among = inside.get(part.parent ?? root);
    if (among) among.push(part);
    else inside.set(part.parent ?? root, [part]);
  }
  const rows: Placed<T>[] = [];
  const waiting: Placed<T>[] = (inside.get(root) ?? []).map((part) => ({ part, depth: 0 })).reverse();
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    rows.push(next);
    const { depth } = next;
    waiting.push(...(inside.get(next.part.id) ?? []).map((part) => ({ part, depth: depth + 1 })).reverse());
    inside.delete(next.part.id);
  }
  return rows;
}
