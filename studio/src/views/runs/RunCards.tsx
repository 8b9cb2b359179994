import { runPath } from "../../lib/route";
import { KindTag } from "../../ui/KindTag";
import { Link } from "../../ui/Link";
import { Money } from "../../ui/Money";
import { StatusBadge } from "../../ui/StatusBadge";
import { Ago, Lasted } from "../../ui/Times";
import { plural } from "../../lib/format";
import type { RunsShown } from "./RunsTable";
import { useRows } from "./useRows";
import { valueOf } from "./columns";

const CARD = 104;

/** The Runs where the screen is narrow. */
export function RunCards({ ns, project, runs, columns, more }: RunsShown) {
  const { scroller, items, total, onKeyDown, setActive, tabStop } = useRows({ count: runs.length, height: CARD, more });
  const metrics = columns.filter((name) => name.startsWith("metrics.")).slice(0, 2);
  return (
    <div className="scroller scroller-cards" ref={scroller}>
      <ul className="run-cards" style={{ height: total }} onKeyDown={onKeyDown}>
        {items.map(({ index, start }) => {
          const run = runs[index];
          if (!run) return null;
          return (
            <li key={run.id} data-index={index} style={{ height: CARD, transform: `translateY(${start}px)` }}>
              <Link
                to={runPath(ns, project, run.slug)}
                className="run-card"
                data-row-link
                tabIndex={index === tabStop ? 0 : -1}
                onFocus={() => setActive(index)}
              >
                <span className="run-card-name">
                  {run.name} <KindTag kind={run.kind} />
                </span>
                <StatusBadge status={run.status} />
                <span className="run-card-facts muted">
                  <span>
                    <Ago time={run.created} />
                  </span>
                  <span>
                    <Lasted run={run} />
                  </span>
                  <span>
                    <Money usd={run.cost.usd} unpriced={run.cost.unpriced} calls={run.cost.calls} />
                  </span>
                  <span>{plural(run.cost.calls, "call")}</span>
                </span>
                {metrics.length > 0 && (
                  <span className="run-card-metrics">
                    {metrics.map((name) => (
                      <span key={name}>
                        <span className="muted">{name.slice("metrics.".length)}</span> {valueOf(run, name)}
                      </span>
                    ))}
                  </span>
                )}
              </Link>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
