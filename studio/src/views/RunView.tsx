import { useQuery } from "@tanstack/react-query";
import { isRefused } from "../api/errors";
import { runQuery, slugQuery } from "../api/queries";
import { runPath, type Tab } from "../lib/route";
import { useTitle } from "../lib/title";
import { useLiveRun } from "../live/useLive";
import { Failure } from "../ui/Failure";
import { Link } from "../ui/Link";
import { Skeleton } from "../ui/Skeleton";
import { Calls } from "./run/Calls";
import { Overview } from "./run/Overview";
import { Prompts } from "./run/Prompts";
import { RunHead } from "./run/RunHead";

interface Props {
  ns: string;
  project: string;
  run: string;
  tab: Tab;
}

const TABS: readonly (readonly [Tab, string])[] = [
  ["overview", "Overview"],
  ["prompts", "Prompts"],
  ["calls", "Calls"],
];

export function RunView({ ns, project, run: slug, tab }: Props) {
  const found = useQuery(slugQuery(ns, project, slug));
  const id = found.data?.id;
  const facts = useQuery({ ...runQuery(id ?? ""), enabled: id !== undefined });
  useLiveRun(id);
  const run = isRefused(facts.error, 404) ? undefined : (facts.data ?? found.data);
  const word = TABS.find(([each]) => each === tab)?.[1];
  useTitle(run?.name ?? slug, tab === "overview" ? undefined : word);
  const error = found.error ?? facts.error;
  if (!run) return error ? <Failure error={error} what="Run" retry={() => void found.refetch()} /> : <Skeleton rows={8} what="Loading the Run" />;
  return (
    <div className={tab === "calls" ? "page page-fill page-run" : "page page-run"}>
      <RunHead run={run} />
      <nav className="tabs" aria-label="Parts of this Run">
        {TABS.filter(([each]) => run.kind === "run" || each !== "prompts" || tab === each).map(([each, title]) => (
          <Link key={each} to={runPath(ns, project, slug, each)} aria-current={each === tab ? "page" : undefined}>
            {title}
          </Link>
        ))}
      </nav>
      {tab === "overview" && <Overview run={run} />}
      {tab === "prompts" && <Prompts run={run} />}
      {tab === "calls" && <Calls run={run} />}
    </div>
  );
}
