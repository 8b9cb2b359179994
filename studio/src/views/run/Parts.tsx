import type { Family, Marks, Relative, Run } from "../../api/types";
import { group } from "../../lib/format";
import { placed } from "../../lib/parts";
import { runPath } from "../../lib/route";
import { Icon } from "../../ui/Icon";
import { Link } from "../../ui/Link";
import { Money } from "../../ui/Money";
import { StatusBadge } from "../../ui/StatusBadge";

/** The parts of a recording, and the Runs its script had again. */
export function Parts({ run, family, marks }: { run: Run; family: Family; marks: ReadonlyMap<string, Marks> }) {
  return (
    <>
      {family.parts.length > 0 && <Table title="Parts" run={run} rows={placed(run.id, family.parts)} marks={marks} />}
      {family.reruns.length > 0 && <Table title="Reruns" run={run} rows={family.reruns.map((part) => ({ part, depth: 0 }))} marks={NONE} />}
    </>
  );
}

const NONE: ReadonlyMap<string, Marks> = new Map();

interface Shown {
  title: string;
  run: Run;
  rows: readonly { part: Relative; depth: number }[];
  marks: ReadonlyMap<string, Marks>;
}

const DEEPEST = 6;

function Table({ title, run, rows, marks }: Shown) {
  const marked = rows.some(({ part }) => marks.has(part.id));
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
              {marked && <th scope="col">Passed</th>}
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
                  <Link to={runPath(run.namespace_slug, run.project_slug, part.slug)}>{part.name}</Link>{" "}
                  {part.kind === "run" && <span className="tag">afnio</span>}
                </th>
                <td>
                  <StatusBadge status={part.status} reason={part.reason} />
                </td>
                {marked && (
                  <td>
                    <Passed marks={marks.get(part.id)} />
                  </td>
                )}
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

/** By what a part has noted: yes, no, or how often. */
function Passed({ marks }: { marks: Marks | undefined }) {
  if (!marks) return null;
  const { passed, failed } = marks;
  if (passed + failed > 1)
    return (
      <span className={failed > 0 ? "failed" : "passed"}>
        {group(passed)} of {group(passed + failed)}
      </span>
    );
  return (
    <span className={failed > 0 ? "mark failed" : "mark passed"}>
      <Icon name={failed > 0 ? "cross" : "check"} /> {failed > 0 ? "no" : "yes"}
    </span>
  );
}
