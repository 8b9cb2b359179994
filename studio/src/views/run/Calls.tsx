import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { callsQuery, costQuery } from "../../api/queries";
import type { Run } from "../../api/types";
import { useParams } from "../../lib/location";
import { Failure } from "../../ui/Failure";
import { Notice } from "../../ui/Notice";
import { Skeleton } from "../../ui/Skeleton";
import { CallDetail } from "./CallDetail";
import { CallsTable } from "./CallsTable";
import { Roles } from "./Roles";

export function Calls({ run }: { run: Run }) {
  const [params, change] = useParams();
  const role = params.get("role");
  const cost = useQuery(costQuery(run.id));
  const query = useInfiniteQuery(callsQuery(run.id, role));
  const calls = useMemo(() => query.data?.pages.flat() ?? [], [query.data]);
  const open = /^\d+$/.test(params.get("call") ?? "") ? Number(params.get("call")) : null;
  if (!query.data)
    return query.error ? (
      <Failure error={query.error} what="list of calls" retry={() => void query.refetch()} />
    ) : (
      <Skeleton what="Loading the calls" />
    );
  const all = cost.data ? cost.data.total.calls + cost.data.total.reused : calls.length;
  if (!calls.length && role === null)
    return (
      <Notice title={run.status === "RUNNING" ? "No LM calls yet" : "No LM calls"}>
        <p>Every call to a language model is here: who made it, what it cost, and what was said.</p>
      </Notice>
    );
  const more = () => {
    if (query.hasNextPage && !query.isFetchingNextPage) void query.fetchNextPage();
  };
  return (
    <>
      {cost.data && <Roles cost={cost.data} role={role} onChange={(next) => change({ role: next, call: null })} />}
      <div className={open === null ? "calls" : "calls calls-split"}>
        <CallsTable
          calls={calls}
          total={role === null ? all : calls.length}
          open={open}
          more={more}
          onOpen={(key) => change({ call: String(key) }, { push: open === null })}
          onClose={() => change({ call: null })}
        />
        {open !== null && <CallDetail key={open} runId={run.id} call={open} onClose={() => change({ call: null })} />}
      </div>
    </>
  );
}
