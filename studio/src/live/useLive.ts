import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { address } from "../api/client";
import { keys } from "../api/queries";
import { throttled } from "../lib/throttle";
import { type Hint, oldParts, parseHint, touchesListing } from "./hints";
import { outdated } from "./outdated";
import { follow } from "./stream";

/** A table of Runs is read again at most so often, however many Runs are going on. */
const LISTING_PAUSE = 1000;

/** Keeps what is shown of a project's Runs as it is on the server. */
export function useLiveProject(ns: string, project: string): void {
  const client = useQueryClient();
  useEffect(() => {
    const reread = throttled(() => outdated(client, keys.listing(ns, project)), LISTING_PAUSE);
    const stop = follow(address("/api/v1/namespaces/{ns}/projects/{project}/live", { ns, project }), {
      changed(data) {
        const hint = parseHint(data);
        if (hint && touchesListing(hint)) reread();
      },
      reset: reread,
    });
    return () => {
      stop();
      reread.cancel();
    };
  }, [client, ns, project]);
}

/** Keeps what is shown of a Run as it is on the server. */
export function useLiveRun(runId: string | undefined): void {
  const client = useQueryClient();
  useEffect(() => {
    if (runId === undefined) return;
    return follow(address("/api/v1/runs/{run_id}/live", { run_id: runId }), {
      changed(data) {
        const hint = parseHint(data);
        if (hint?.run_id === runId) apply(client, hint);
      },
      reset: () => outdated(client, keys.run(runId)),
    });
  }, [client, runId]);
}

function apply(client: QueryClient, hint: Hint): void {
  for (const part of oldParts(hint)) outdated(client, [...keys.run(hint.run_id), part]);
}
