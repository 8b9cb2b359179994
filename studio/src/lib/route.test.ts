import { describe, expect, it } from "vitest";
import { projectPath, routeOf, runPath } from "./route";

describe("addresses", () => {
  it("lead to what they were made for", () => {
    for (const name of ["a", "a b", "ü", "a/b", "100%", "?#&"]) {
      expect(routeOf(projectPath(name, name))).toEqual({ view: "runs", ns: name, project: name });
      for (const tab of ["overview", "prompts", "calls"] as const)
        expect(routeOf(runPath(name, "p", name, tab))).toEqual({ view: "run", ns: name, project: "p", run: name, tab });
    }
  });
  it("may end with a slash or not", () => {
    expect(routeOf("/n/projects/p")).toEqual(routeOf("/n/projects/p/"));
    expect(routeOf("/n/projects/p/runs/")).toEqual(routeOf("/n/projects/p/"));
    expect(routeOf("")).toEqual({ view: "projects" });
  });
  it("that are nobody's are known as such", () => {
    for (const path of ["/x", "/n/p/q", "/n/projects/p/x", "/n/projects/p/runs/r/x", "/n/projects/p/runs/r/calls/1"])
      expect(routeOf(path)).toEqual({ view: "unknown" });
  });
});
