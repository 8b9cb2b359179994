import { describe, expect, it } from "vitest";
import { baseOf, byParameter, current, textOf, type Version } from "./prompts";

const of = (parameter: string, ...statuses: Version["status"][]) =>
  statuses.map((status, version) => ({ parameter, version, status, value: `v${version}` }));

describe("versions", () => {
  it("are put together by parameter, in order", () => {
    const found = byParameter([...of("b", "initial", "kept").reverse(), ...of("a", "initial")]);
    expect(found.map((p) => [p.name, p.versions.map((v) => v.version)])).toEqual([["b", [0, 1]], ["a", [0]]]);
  });
  it("are compared with what was in force before", () => {
    const versions = of("p", "initial", "kept", "undone", "kept", "undone");
    expect(versions.map((v) => baseOf(versions, v)?.version ?? null)).toEqual([null, 0, 1, 1, 3]);
    expect(current(versions)?.version).toBe(3);
  });
});

it("shows texts as they are and the rest as JSON", () => {
  expect(textOf("<b>")).toBe("<b>");
  expect(textOf(null)).toBe("");
  expect(textOf([1])).toBe("[\n  1\n]");
});
