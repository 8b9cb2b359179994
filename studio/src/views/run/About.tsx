import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { costQuery, overviewQuery } from "../../api/queries";
import type { Overview, Run } from "../../api/types";
import { byRole, share } from "../../lib/cost";
import { group, moment } from "../../lib/format";
import { configNames, configValue } from "../../lib/listing";
import { runPath } from "../../lib/route";
import { Facts } from "../../ui/Facts";
import { Link } from "../../ui/Link";
import { Money } from "../../ui/Money";

/** What a Run was begun with, where, and what it cost. */
export function About({ run }: { run: Run }) {
  const config = configNames(run.config);
  const client = run.client as Record<string, unknown>;
  const { data: overview } = useQuery({ ...overviewQuery(run.id, run.status === "RUNNING"), enabled: run.kind !== "run" });
  const started = overview?.command ?? null;
  return (
    <aside className="about" aria-label="About this Run">
      {run.kind === "run" && <CostByRole run={run} />}
      {config.length > 0 && (
        <section className="card">
          <h2>Config</h2>
          <Facts rows={config.map((name) => [name, <code key={name}>{words(configValue(run.config, name))}</code>])} />
        </section>
      )}
      {run.notes && (
        <section className="card">
          <h2>Notes</h2>
          <p className="prose">{run.notes}</p>
        </section>
      )}
      <section className="card">
        <h2>Origin</h2>
        <Facts
          rows={[
            [run.status === "DRAFT" ? "Made" : "Begun", moment(run.created)],
            ["Ended", run.ended === null ? null : moment(run.ended)],
            ...CLIENT.map(([name, title]) => [title, client[name] === undefined ? null : <code key={name}>{words(client[name])}</code>] as const),
            ...(run.kind === "run" ? [] : startedAs(started)),
            ["Run id", <code key="id">{run.id}</code>],
          ]}
        />
      </section>
    </aside>
  );
}

const CLIENT = [
  ["command", "Command"],
  ["git_commit", "Git commit"],
  ["python", "Python"],
  ["version", "afnio"],
] as const;

type Started = NonNullable<Overview["command"]>;

function startedAs(started: Started | null): (readonly [string, ReactNode])[] {
  const facts = [
    ["Folder", started?.cwd],
    ["Interpreter", started?.interpreter],
    ["Machine", started?.host],
  ] as const;
  return facts.map(([name, value]) => [name, value ? <code key={name}>{value}</code> : null]);
}

function CostByRole({ run }: { run: Run }) {
  const { data } = useQuery(costQuery(run.id));
  if (!data || data.total.calls + data.total.reused === 0) return null;
  const total = { ...data.total, role: "all" };
  return (
    <section className="card">
      <h2>Cost by role</h2>
      <table className="plain">
        <thead>
          <tr>
            <th scope="col">Role</th>
            <th scope="col" className="number">
              Calls
            </th>
            <th scope="col" className="number">
              Cost
            </th>
          </tr>
        </thead>
        <tbody>
          {byRole(data.by).map((row) => (
            <tr key={row.role}>
              <th scope="row">
                <Link to={`${runPath(run.namespace_slug, run.project_slug, run.slug, "calls")}?role=${encodeURIComponent(row.role)}`}>
                  {row.role || "other"}
                </Link>
                <span className="share" aria-hidden="true">
                  <span style={{ width: `${share(row, total) * 100}%` }} />
                </span>
              </th>
              <td className="number">{group(row.calls)}</td>
              <td className="number">
                <Money usd={row.usd} unpriced={row.unpriced} calls={row.calls} />
              </td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">Total</th>
            <td className="number">{group(total.calls)}</td>
            <td className="number">
              <Money usd={total.usd} unpriced={total.unpriced} calls={total.calls} />
            </td>
          </tr>
        </tfoot>
      </table>
    </section>
  );
}

function words(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
