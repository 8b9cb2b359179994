/** What the table of Runs can show of a Run, and how. */

import type { ReactNode } from "react";
import type { ListedRun } from "../../api/types";
import { group, isMetricValue, NOTHING, number, short } from "../../lib/format";
import { configValue } from "../../lib/listing";
import { Money } from "../../ui/Money";
import { StatusBadge } from "../../ui/StatusBadge";
import { Ago, Lasted } from "../../ui/Times";

export interface RunColumn {
  id: string;
  title: string;
  width: number;
  numeric: boolean;
  /** What the server calls it when sorting; null: it cannot be sorted by. */
  sort: string | null;
  cell: (run: ListedRun) => ReactNode;
}

export const FIXED: readonly RunColumn[] = [
  { id: "status", title: "Status", width: 124, numeric: false, sort: "status", cell: (run) => <StatusBadge status={run.status} reason={run.reason} /> },
  { id: "created", title: "Begun", width: 96, numeric: true, sort: "created", cell: (run) => <Ago time={run.created} /> },
  { id: "duration", title: "Duration", width: 96, numeric: true, sort: "duration", cell: (run) => <Lasted run={run} /> },
  { id: "cost", title: "Cost", width: 104, numeric: true, sort: "cost", cell: (run) => <Money usd={run.cost.usd} unpriced={run.cost.unpriced} calls={run.cost.calls} /> },
  { id: "calls", title: "Calls", width: 76, numeric: true, sort: "calls", cell: (run) => group(run.cost.calls) },
  { id: "tokens", title: "Tokens", width: 84, numeric: true, sort: null, cell: (run) => tokens(run) },
];

export function columnOf(name: string): RunColumn {
  const [kind, rest] = [name.slice(0, name.indexOf(".")), name.slice(name.indexOf(".") + 1)];
  return {
    id: name,
    title: rest,
    width: Math.min(200, Math.max(104, 40 + rest.length * 8)),
    numeric: kind === "metrics",
    sort: name,
    cell: (run) => valueOf(run, name),
  };
}

export function valueOf(run: ListedRun, name: string): ReactNode {
  const rest = name.slice(name.indexOf(".") + 1);
  if (name.startsWith("metrics.")) {
    const value = run.metrics[rest];
    return value === undefined || !isMetricValue(value) ? NOTHING : number(value);
  }
  const value = configValue(run.config, rest);
  if (value === undefined) return NOTHING;
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function tokens(run: ListedRun): ReactNode {
  const { input_tokens, output_tokens } = run.cost;
  return <span title={`${group(input_tokens)} in, ${group(output_tokens)} out`}>{short(input_tokens + output_tokens)}</span>;
}
