/** Which address shows what.  Addresses are the server's: it hands out the page at each of them. */

export type Tab = "overview" | "prompts" | "calls";

export type Route =
  | { view: "projects" }
  | { view: "runs"; ns: string; project: string }
  | { view: "run"; ns: string; project: string; run: string; tab: Tab }
  | { view: "unknown" };

export function routeOf(path: string): Route {
  const parts = path.split("/").filter(Boolean).map(decoded);
  const [ns, kind, project, runs, run, tab, ...more] = parts;
  if (ns === undefined) return { view: "projects" };
  if (kind !== "projects" || project === undefined || more.length) return { view: "unknown" };
  if (runs === undefined) return { view: "runs", ns, project };
  if (runs !== "runs") return { view: "unknown" };
  if (run === undefined) return { view: "runs", ns, project };
  if (tab === undefined) return { view: "run", ns, project, run, tab: "overview" };
  return tab === "prompts" || tab === "calls" ? { view: "run", ns, project, run, tab } : { view: "unknown" };
}

export function projectPath(ns: string, project: string): string {
  return `/${encodeURIComponent(ns)}/projects/${encodeURIComponent(project)}/`;
}

export function runPath(ns: string, project: string, run: string, tab: Tab = "overview"): string {
  const path = `${projectPath(ns, project)}runs/${encodeURIComponent(run)}/`;
  return tab === "overview" ? path : path + tab;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
