import type { ModelSums, Run } from "../../api/types";
import { callsOf, inAll } from "../../lib/overview";
import { duration, group, plural, short } from "../../lib/format";
import { runPath } from "../../lib/route";
import { Link } from "../../ui/Link";
import { Money } from "../../ui/Money";

/** The calls of a recording and of its parts, by model. */
export function Models({ run, models }: { run: Run; models: readonly ModelSums[] }) {
  const own = run.cost.calls + run.cost.reused;
  return (
    <section className="card models" aria-label="Calls by model">
      <div className="card-head">
        <h2>
          Calls by model <span className="muted">{group(callsOf(models))}</span>
        </h2>
        {own > 0 && <Link to={runPath(run.namespace_slug, run.project_slug, run.slug, "calls")}>See {plural(own, "call")}</Link>}
      </div>
      <div className="wide-table" tabIndex={0} role="group" aria-label="Table of calls by model">
        <table className="plain">
          <thead>
            <tr>
              <th scope="col">Model</th>
              {COLUMNS.map((title) => (
                <th key={title} scope="col" className="number">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {models.map((row) => (
              <tr key={row.model} data-model={row.model}>
                <th scope="row">
                  <code>{row.model || "tools"}</code>
                </th>
                <Cells row={row} />
              </tr>
            ))}
          </tbody>
          {models.length > 1 && (
            <tfoot>
              <tr>
                <th scope="row">Total</th>
                <Cells row={inAll(models)} />
              </tr>
            </tfoot>
          )}
        </table>
      </div>
    </section>
  );
}

const COLUMNS = ["Calls", "Tokens in", "Tokens out", "Mean latency", "Slowest", "Cost"] as const;

function Cells({ row }: { row: ModelSums }) {
  const mean = row.calls > 0 ? duration(row.seconds / row.calls) : null;
  return (
    <>
      <td className="number">
        {row.calls > 0 && group(row.calls)}
        {row.calls > 0 && row.reused > 0 && " + "}
        {row.reused > 0 && <span className="muted">{group(row.reused)} replayed</span>}
        {row.errors > 0 && <span className="failed"> ({group(row.errors)} failed)</span>}
      </td>
      <td className="number">{short(row.input_tokens)}</td>
      <td className="number">{short(row.output_tokens)}</td>
      <td className="number">{mean}</td>
      <td className="number">{mean && duration(row.slowest)}</td>
      <td className="number">
        <Money usd={row.usd} unpriced={row.unpriced} calls={row.calls} />
      </td>
    </>
  );
}
