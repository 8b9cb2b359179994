import type { QueryClient, QueryKey } from "@tanstack/react-query";

/** Answers on their way, after which there is something newer. */
const followed = new WeakSet<Promise<unknown>>();

/**
 * What was read by this key, or by one that begins so, is old.
 *
 * What is being read just now may have been read before the change or after it.  It is not asked for anew in the middle:
 * where changes come faster than answers, there would never be one.  It is asked for once more when the answer is there.
 */
export function outdated(client: QueryClient, queryKey: QueryKey = []): void {
  for (const query of client.getQueryCache().findAll({ queryKey })) {
    const answer = query.state.fetchStatus === "fetching" ? query.promise : undefined;
    if (!answer || followed.has(answer)) continue;
    followed.add(answer);
    void answer.catch(() => undefined).then(() => client.invalidateQueries({ queryKey: query.queryKey, exact: true }));
  }
  void client.invalidateQueries({ queryKey }, { cancelRefetch: false });
}
