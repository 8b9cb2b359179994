import { describe, expect, it } from "vitest";
import { columnsOf, columnsText, configNames, configValue, sortedBy, sortOf, sortText } from "./listing";

describe("the table's state", () => {
  it("comes back from the address as it went in", () => {
    for (const text of ["name", "-cost", "-metrics.a-b", "config.x.y"]) expect(sortText(sortOf(text))).toBe(text);
    for (const names of [[], ["metrics.a"], ["metrics.a,b", "config.c"]]) expect(columnsOf(columnsText(names))).toEqual(names);
    expect(columnsOf(null)).toBeNull();
    expect(sortText(sortOf(null))).toBe("-created");
  });
  it("turns a column round, and begins another with its greatest, names with their first", () => {
    expect(sortedBy({ what: "cost", descending: true }, "cost").descending).toBe(false);
    expect(sortedBy({ what: "cost", descending: true }, "metrics.loss").descending).toBe(true);
    expect(sortedBy({ what: "cost", descending: true }, "name").descending).toBe(false);
  });
});

describe("a config", () => {
  const config = { model: "m", opt: { lr: 0.1, deep: { x: null } }, "a.b": 3, list: [1] };
  it("has dotted names", () => expect(configNames(config)).toEqual(["model", "opt.lr", "opt.deep.x", "a.b", "list"]));
  it("has a value at each of them", () => {
    expect(configNames(config).map((name) => configValue(config, name))).toEqual(["m", 0.1, null, 3, [1]]);
    expect(configValue(config, "opt.lr.more")).toBeUndefined();
  });
});
