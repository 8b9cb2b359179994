/** Everything the page reads, each with the key that makes it old. */

import { infiniteQueryOptions, keepPreviousData, type QueryClient, queryOptions } from "@tanstack/react-query";
import { appended, fromWire, type Point, type Series, type WireBucket } from "../lib/buckets";
import { get } from "./client";
import type { ListedCall, Project, RunPage } from "./types";

export const keys = {
  me: ["me"] as const,
  projects: ["projects"] as const,
  listing: (ns: string, project: string) => ["runs", ns, project] as const,
  slug: (ns: string, project: string, run: string) => ["slug", ns, project, run] as const,
  run: (id: string) => ["run", id] as const,
};

/** How many summaries of a metric a chart draws: more than a wide screen has columns of pixels for one of its charts. */
const BUCKETS = 1000;
const RUNS_PAGE = 200;
const CALLS_PAGE = 200;

export const meQuery = queryOptions({ queryKey: keys.me, queryFn: ({ signal }) => get("/api/v1/me", { signal }) });

/** The projects of all namespaces one is in. */
export const projectsQuery = queryOptions({
  queryKey: keys.projects,
  queryFn: async ({ signal }): Promise<Project[]> => {
    const namespaces = await get("/api/v1/namespaces", { signal });
    const found = await Promise.all(
      namespaces.map(({ slug }) => get("/api/v1/namespaces/{ns}/projects", { path: { ns: slug }, signal })),
    );
    return found.flat().sort((a, b) => (b.last_run ?? b.created) - (a.last_run ?? a.created));
  },
});

export const projectQuery = (ns: string, project: string) =>
  queryOptions({
    queryKey: ["project", ns, project],
    queryFn: ({ signal }) => get("/api/v1/namespaces/{ns}/projects/{project}", { path: { ns, project }, signal }),
  });

export interface Listing {
  search: string;
  filters: readonly string[];
  sort: string;
  /** Metrics whose last values are shown, as `metrics.<name>`. */
  columns: readonly string[];
}

export const runsQuery = (ns: string, project: string, listing: Listing) =>
  infiniteQueryOptions({
    queryKey: [...keys.listing(ns, project), listing],
    initialPageParam: null as string | null,
    queryFn: ({ signal, pageParam }): Promise<RunPage> =>
      get("/api/v1/namespaces/{ns}/projects/{project}/runs", {
        path: { ns, project },
        query: {
          search: listing.search || null,
          filter: [...listing.filters],
          sort: listing.sort,
          limit: RUNS_PAGE,
          cursor: pageParam,
          columns: listing.columns.filter((column) => column.startsWith("metrics.")),
        },
        signal,
      }),
    getNextPageParam: (page: RunPage) => page.cursor,
    placeholderData: keepPreviousData,
  });

/** A Run by the name in its address; what is shown of it then goes by its id. */
export const slugQuery = (ns: string, project: string, run: string) =>
  queryOptions({
    queryKey: keys.slug(ns, project, run),
    queryFn: ({ signal }) =>
      get("/api/v1/namespaces/{ns}/projects/{project}/runs/{run_slug}", { path: { ns, project, run_slug: run }, signal }),
    staleTime: Infinity,
  });

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: [...keys.run(id), "facts"],
    queryFn: ({ signal }) => get("/api/v1/runs/{run_id}", { path: { run_id: id }, signal }),
  });

export const metricsQuery = (id: string) =>
  queryOptions({
    queryKey: [...keys.run(id), "metrics"],
    queryFn: ({ signal }) => get("/api/v1/runs/{run_id}/metrics", { path: { run_id: id }, signal }),
  });

/** A metric's course: read whole once, then only what came since. */
export const metricQuery = (client: QueryClient, id: string, name: string) => {
  const queryKey = [...keys.run(id), "metric", name];
  return queryOptions({
    queryKey,
    queryFn: async ({ signal }): Promise<Series> => {
      const known = client.getQueryData<Series>(queryKey);
      const read = (query: { buckets?: number; after?: number }) =>
        get("/api/v1/runs/{run_id}/metrics/{name}", { path: { run_id: id, name }, query, signal });
      if (known?.points) {
        const { points, count } = await read({ after: known.points });
        const more = appended(known, (points ?? []) as unknown as Point[]);
        if (more.points === count) return more;
      }
      return fromWire(((await read({ buckets: BUCKETS })).buckets ?? []) as unknown as WireBucket[]);
    },
  });
};

/** The names of metrics that the project's Runs have. */
export const projectMetricsQuery = (ns: string, project: string) =>
  queryOptions({
    queryKey: [...keys.listing(ns, project), "names"],
    queryFn: ({ signal }) => get("/api/v1/namespaces/{ns}/projects/{project}/metrics", { path: { ns, project }, signal }),
  });

export const costQuery = (id: string) =>
  queryOptions({
    queryKey: [...keys.run(id), "cost"],
    queryFn: ({ signal }) => get("/api/v1/runs/{run_id}/cost", { path: { run_id: id }, signal }),
  });

/** The parts of a Run, and its reruns; while it goes on, new ones may come. */
export const familyQuery = (id: string, goesOn: boolean) =>
  queryOptions({
    queryKey: [...keys.run(id), "family"],
    queryFn: ({ signal }) => get("/api/v1/runs/{run_id}/family", { path: { run_id: id }, signal }),
    refetchInterval: goesOn ? 2000 : false,
  });

/** What there is to see of a recording first. */
export const overviewQuery = (id: string, goesOn: boolean) =>
  queryOptions({
    queryKey: [...keys.run(id), "overview"],
    queryFn: ({ signal }) => get("/api/v1/runs/{run_id}/overview", { path: { run_id: id }, signal }),
    refetchInterval: goesOn ? 2000 : false,
  });

/** The end of what a script printed that the server has started. */
export const outputQuery = (id: string, goesOn: boolean) =>
  queryOptions({
    queryKey: [...keys.run(id), "output"],
    queryFn: ({ signal }) => get("/api/v1/runs/{run_id}/output", { path: { run_id: id }, signal }),
    refetchInterval: goesOn ? 2000 : false,
  });

export const promptsQuery = (id: string) =>
  queryOptions({
    queryKey: [...keys.run(id), "prompts"],
    queryFn: ({ signal }) => get("/api/v1/runs/{run_id}/prompts", { path: { run_id: id }, signal }),
  });

export const callQuery = (id: string, key: number) =>
  queryOptions({
    queryKey: [...keys.run(id), "call", key],
    queryFn: ({ signal }) => get("/api/v1/runs/{run_id}/calls/{key}", { path: { run_id: id, key }, signal }),
    staleTime: Infinity, // what a call was does not change
  });

export const callsQuery = (id: string, role: string | null) =>
  infiniteQueryOptions({
    queryKey: [...keys.run(id), "calls", role],
    initialPageParam: null as number | null,
    queryFn: ({ signal, pageParam }): Promise<ListedCall[]> =>
      get("/api/v1/runs/{run_id}/calls", {
        path: { run_id: id },
        query: { limit: CALLS_PAGE, role, order: "newest", before: pageParam },
        signal,
      }),
    getNextPageParam: (page: ListedCall[]) => (page.length < CALLS_PAGE ? null : (page.at(-1)?.key ?? null)),
    placeholderData: keepPreviousData,
  });
