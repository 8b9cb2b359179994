import type { QueryClient, QueryKey } from "@tanstack/react-query";

/**
 * What was read by this key, or by one that begins so, is old.
 *
 * What is being read for the first time just now may have been read before the change.  The client would not ask again
 * for that, and would take its answer for new: so it is told once more when the answer is there.
 */
export function outdated(client: QueryClient, queryKey: QueryKey = []): void {
  for (const query of client.getQueryCache().findAll({ queryKey })) {
    const first = query.state.data === undefined ? query.promise : undefined;
    if (query.state.fetchStatus === "fetching" && first)
      void first.then(() => client.invalidateQueries({ queryKey: query.queryKey, exact: true })).catch(() => undefined);
  }
  void client.invalidateQueries({ queryKey });
}
