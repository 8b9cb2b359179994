import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { projectMetricsQuery, projectQuery, runsQuery } from "../api/queries";
import { plural } from "../lib/format";
import { columnsOf, configNames, sortOf, sortText } from "../lib/listing";
import { useParams } from "../lib/location";
import { usePhone } from "../lib/media";
import { filterParameters, parseSearch } from "../lib/search";
import { useTitle } from "../lib/title";
import { useLiveProject } from "../live/useLive";
import { Command } from "../ui/Command";
import { Failure, wordsOf } from "../ui/Failure";
import { Notice } from "../ui/Notice";
import { Skeleton } from "../ui/Skeleton";
import { isRefused } from "../api/errors";
import { ColumnsMenu } from "./runs/ColumnsMenu";
import { RunCards } from "./runs/RunCards";
import { RunsTable } from "./runs/RunsTable";
import { SearchBar } from "./runs/SearchBar";

const BEST_METRICS = 3;
const BEST_CONFIG = 1;

export function Runs({ ns, project }: { ns: string; project: string }) {
  const [params, change] = useParams();
  const phone = usePhone();
  const about = useQuery(projectQuery(ns, project));
  const names = useQuery(projectMetricsQuery(ns, project));
  useLiveProject(ns, project);
  useTitle(about.data?.display_name ?? project);

  const typed = params.get("q") ?? "";
  const search = useMemo(() => parseSearch(typed), [typed]);
  const sort = sortOf(params.get("sort"));
  const chosen = columnsOf(params.get("columns"));
  const metrics = (names.data ?? []).map(({ name }) => `metrics.${name}`);
  const asked = chosen ?? metrics.filter((name) => name !== "metrics.unpriced_calls").slice(0, BEST_METRICS);

  const query = useInfiniteQuery({
    ...runsQuery(ns, project, {
      search: search.words,
      filters: filterParameters(search),
      sort: sortText(sort),
      columns: asked,
    }),
    enabled: !names.isPending,
  });
  const runs = useMemo(() => query.data?.pages.flatMap((page) => page.runs) ?? [], [query.data]);
  const configs = useMemo(() => [...new Set(runs.slice(0, 50).flatMap((run) => configNames(run.config)))], [runs]);
  const columns = chosen ?? [...asked, ...configs.slice(0, BEST_CONFIG).map((name) => `config.${name}`)];
  const total = query.data?.pages[0]?.total;

  if (about.error && !about.data) return <Failure error={about.error} what="project" retry={() => void about.refetch()} />;
  const more = () => {
    if (query.hasNextPage && !query.isFetchingNextPage) void query.fetchNextPage();
  };
  const shown = { ns, project, runs, total: total ?? 0, columns, sort, more };
  const refusal = isRefused(query.error, 422) ? wordsOf(query.error) : null;
  return (
    <div className="page page-fill">
      <div className="page-head">
        <h1>{about.data?.display_name ?? project}</h1>
        <p className="count" aria-live="polite">
          {total !== undefined && plural(total, "Run")}
          {typed && total !== undefined && " found"}
        </p>
      </div>
      <div className="toolbar">
        <SearchBar text={typed} problems={refusal ? [...search.problems, refusal] : search.problems} onChange={(q) => change({ q })} />
        <ColumnsMenu
          columns={columns}
          options={[...metrics, ...configs.map((name) => `config.${name}`)]}
          onChange={(text) => change({ columns: text })}
        />
      </div>
      {query.error && !query.data && !refusal ? (
        <Failure error={query.error} what="list of Runs" retry={() => void query.refetch()} />
      ) : query.isPending && !refusal ? (
        <Skeleton rows={12} what="Loading the Runs" />
      ) : total === 0 || (refusal && !runs.length) ? (
        <Nothing filtered={typed !== ""} clear={() => change({ q: null })} ns={ns} project={about.data?.display_name ?? project} />
      ) : phone ? (
        <RunCards {...shown} />
      ) : (
        <RunsTable {...shown} onSort={(next) => change({ sort: sortText(next) })} />
      )}
    </div>
  );
}

function Nothing({ filtered, clear, ns, project }: { filtered: boolean; clear: () => void; ns: string; project: string }) {
  if (filtered)
    return (
      <Notice title="No Run is like that">
        <p>Search by words of the name, notes or tags, or by conditions such as these:</p>
        <p className="examples">
          <code>status:running</code> <code>kind:recording</code> <code>metrics.loss&lt;0.5</code> <code>config.model:gpt</code> <code>cost&gt;0.10</code>{" "}
          <code>tags=baseline</code>
        </p>
        <p>
          <button type="button" className="button" onClick={clear}>
            Show all Runs
          </button>
        </p>
      </Notice>
    );
  return (
    <Notice title="No Runs yet">
      <p>Begin one in a script; it appears here at once:</p>
      <Command>{`import afnio.tellurio as te

with te.init(${JSON.stringify(ns)}, ${JSON.stringify(project)}) as run:
    run.log("score", 0.5)`}</Command>
      <p>Or watch the demo train a prompt:</p>
      <Command>make demo</Command>
    </Notice>
  );
}
