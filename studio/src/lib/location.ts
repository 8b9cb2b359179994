/** Where we are: the address holds the state of every view, so that a link shows what its sender saw. */

import { useCallback } from "react";
import { makeStore, useStore } from "./store";

interface Place {
  path: string;
  search: string;
}

const here = (): Place => ({ path: window.location.pathname, search: window.location.search });
const place = makeStore<Place>(here());
window.addEventListener("popstate", () => place.set(here()));

export function navigate(to: string, { replace = false } = {}): void {
  const { path } = place.get();
  window.history[replace ? "replaceState" : "pushState"](null, "", to);
  place.set(here());
  if (!replace && place.get().path !== path) window.scrollTo(0, 0);
}

export function usePath(): string {
  return useStore(place).path;
}

export type Changes = Record<string, string | null>;

/** The parameters of the address, and how to change some of them; null takes one out. */
export function useParams(): [URLSearchParams, (changes: Changes, options?: { push?: boolean }) => void] {
  const { search } = useStore(place);
  const change = useCallback((changes: Changes, { push = false } = {}) => {
    const params = new URLSearchParams(window.location.search);
    for (const [name, value] of Object.entries(changes))
      if (value === null || value === "") params.delete(name);
      else params.set(name, value);
    const text = params.toString();
    navigate(window.location.pathname + (text ? `?${text}` : ""), { replace: !push });
  }, []);
  return [new URLSearchParams(search), change];
}
