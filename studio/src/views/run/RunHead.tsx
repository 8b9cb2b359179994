import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { costQuery, runQuery } from "../../api/queries";
import type { Limit, Run } from "../../api/types";
import { dollars, duration, group, plural, short } from "../../lib/format";
import { runPath } from "../../lib/route";
import { KindTag } from "../../ui/KindTag";
import { Link } from "../../ui/Link";
import { Money } from "../../ui/Money";
import { StatusBadge } from "../../ui/StatusBadge";
import { Ago, Elapsed } from "../../ui/Times";

/** What one wants to know of a Run first. */
export function RunHead({ run }: { run: Run }) {
  const goesOn = run.status === "RUNNING" && run.kind !== "run"; // what its parts cost is told to who looks at them
  const { data: cost } = useQuery({ ...costQuery(run.id), refetchInterval: goesOn ? 2000 : false });
  const sums = run.cost;
  return (
    <header className="run-head">
      <div className="page-head">
        <h1>{run.name}</h1>
        <StatusBadge status={run.status} />
        <KindTag kind={run.kind} />
        {run.tags.map((tag) => (
          <span key={tag} className="tag">
            {tag}
          </span>
        ))}
        <span className="muted begun">
          {run.status === "DRAFT" ? "made" : "begun"} <Ago time={run.created} /> by {run.user.username}
        </span>
      </div>
      {run.parent_id !== null && <Parent run={run} id={run.parent_id} />}
      {run.reason && <p className="reason">{run.reason}</p>}
      {run.description && <p className="muted description">{run.description}</p>}
      {run.status !== "DRAFT" && <dl className="tiles">
        <Tile name="Duration">
          <Elapsed from={run.created} to={run.ended} />
        </Tile>
        <Tile name="Cost">
          <Money usd={sums.usd} unpriced={sums.unpriced} calls={sums.calls} full />
        </Tile>
        <Tile name="LM calls" note={sums.reused > 0 ? `${group(sums.reused)} reused` : undefined}>
          {group(sums.calls)}
        </Tile>
        <Tile name="Tokens" note={`${short(sums.input_tokens)} in, ${short(sums.output_tokens)} out`}>
          {short(sums.input_tokens + sums.output_tokens)}
        </Tile>
        {cost && cost.parts > 0 && (
          <Tile name="With its parts" note={`${group(cost.whole.calls + cost.whole.reused)} calls`}>
            <Money usd={cost.whole.usd} unpriced={cost.whole.unpriced} calls={cost.whole.calls} full />
          </Tile>
        )}
        {cost?.budget.map((limit) => (
          <Budget key={limit.name} limit={limit} />
        ))}
      </dl>}
    </header>
  );
}

/** The way back to the Run it is of. */
function Parent({ run, id }: { run: Run; id: string }) {
  const { data } = useQuery(runQuery(id));
  if (!data) return null;
  const what = run.kind === "subrun" ? "A part of" : run.kind === "rerun" ? "A rerun of" : "Begun by";
  return (
    <p className="muted parent">
      {what} <Link to={runPath(data.namespace_slug, data.project_slug, data.slug)}>{data.name}</Link>
    </p>
  );
}

function Tile({ name, note, children }: { name: string; note?: string | undefined; children: ReactNode }) {
  return (
    <div className="tile">
      <dt>{name}</dt>
      <dd>
        {children}
        {note && <small>{note}</small>}
      </dd>
    </div>
  );
}

const AMOUNTS: Record<Limit["name"], (value: string | number) => string> = {
  usd: (value) => dollars(String(value)),
  tokens: (value) => `${group(Number(value))} tokens`,
  calls: (value) => plural(Number(value), "call"),
  seconds: (value) => duration(Number(value)),
};

function Budget({ limit }: { limit: Limit }) {
  const amount = AMOUNTS[limit.name];
  const percent = Math.floor(limit.share * 100);
  return (
    <div className="tile tile-budget">
      <dt>Budget</dt>
      <dd>
        {percent}%<small>of {amount(limit.limit)}</small>
        <span
          className={limit.share >= 0.9 ? "share share-much" : "share"}
          role="meter"
          aria-label={`${amount(limit.spent)} of ${amount(limit.limit)} are spent`}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.min(100, percent)}
        >
          <span style={{ width: `${Math.min(100, limit.share * 100)}%` }} />
        </span>
      </dd>
    </div>
  );
}
