import { useQuery } from "@tanstack/react-query";
import { familyQuery } from "../../api/queries";
import type { Relative, Run } from "../../api/types";
import { group } from "../../lib/format";
import { placed } from "../../lib/parts";
import { runPath } from "../../lib/route";
import { Link } from "../../ui/Link";
import { Money } from "../../ui/Money";
import { StatusBadge } from "../../ui/StatusBadge";

/** The parts of a recording, and the Runs its script had again. */
export function Parts({ run }: { run: Run }) {
  const { data } = useQuery(familyQuery(run.id, run.status === "RUNNING"));
  if (!data) return null;
  return (
    <>
      {data.parts.length > 0 && <Table title="Parts" run={run} rows={placed(run.id, data.parts)} />}
      {data.reruns.length > 0 && <Table title="Reruns" run={run} rows={data.reruns.map((part) => ({ part, depth: 0 }))} />}
    </>
  );
}

interface Shown {
  title: string;
  run: Run;
  rows: readonly { part: Relative; depth: number }[];
}

const DEEPEST = 6;

function Table({ title, run, rows }: Shown) {
  return (
    <section className="card parts" aria-label={title}>
      <h2>
        {title} <span className="muted">{group(rows.length)}</span>
      </h2>
      <div className="parts-rows" tabIndex={0} role="group" aria-label={`List of ${title.toLowerCase()}`}>
        <table className="plain">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Status</th>
              <th scope="col" className="number">
                Calls
              </th>
              <th scope="col" className="number">
                Cost
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ part, depth }) => (
              <tr key={part.id} data-part={part.id}>
                <th scope="row" className={`part-${Math.min(depth, DEEPEST)}`}>
                  <Link to={runPath(run.namespace_slug, run.project_slug, part.slug)}>{part.name}</Link>
                </th>
                <td>
                  <StatusBadge status={part.status} reason={part.reason} />
                </td>
                <td className="number">{group(part.calls)}</td>
                <td className="number">
                  {part.calls > 0 && <Money usd={part.cost} unpriced={part.cost === null ? part.calls : 0} calls={part.calls} />}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
