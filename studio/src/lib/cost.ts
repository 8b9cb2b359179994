/** What calls cost, put together by role: exact, and never mixing what has a price with what has none. */

import { addDecimals, decimalText, parseDecimal } from "./decimal";

export interface CostRow {
  role: string;
  calls: number;
  reused: number;
  input_tokens: number;
  output_tokens: number;
  usd: string | null;
  unpriced: number;
  seconds: number;
}

/** One row a role, in the order of the work: forward, backward, optimizer, then the rest. */
export function byRole(rows: readonly CostRow[]): CostRow[] {
  const found = new Map<string, CostRow>();
  for (const row of rows) {
    const known = found.get(row.role);
    found.set(row.role, known ? together(known, row) : pick(row));
  }
  return [...found.values()].sort((a, b) => place(a.role) - place(b.role) || a.role.localeCompare(b.role));
}

/** Of the whole, by dollars; by tokens where there are none. */
export function share(row: CostRow, total: CostRow): number {
  const part = row.usd === null ? 0 : Number(row.usd);
  const whole = total.usd === null ? 0 : Number(total.usd);
  if (whole > 0) return part / whole;
  const tokens = total.input_tokens + total.output_tokens;
  return tokens ? (row.input_tokens + row.output_tokens) / tokens : 0;
}

const ORDER = ["forward", "backward", "optimizer"];

function place(role: string): number {
  const index = ORDER.indexOf(role);
  return index < 0 ? ORDER.length : index;
}

function pick({ role, calls, reused, input_tokens, output_tokens, usd, unpriced, seconds }: CostRow): CostRow {
  return { role, calls, reused, input_tokens, output_tokens, usd, unpriced, seconds };
}

function together(a: CostRow, b: CostRow): CostRow {
  return {
    role: a.role,
    calls: a.calls + b.calls,
    reused: a.reused + b.reused,
    input_tokens: a.input_tokens + b.input_tokens,
    output_tokens: a.output_tokens + b.output_tokens,
    usd: sum(a.usd, b.usd),
    unpriced: a.unpriced + b.unpriced,
    seconds: a.seconds + b.seconds,
  };
}

function sum(a: string | null, b: string | null): string | null {
  const [left, right] = [a === null ? null : parseDecimal(a), b === null ? null : parseDecimal(b)];
  if (!left || !right) return left ? a : b;
  return decimalText(addDecimals(left, right));
}
