import { describe, expect, it } from "vitest";
import type { ModelSums } from "../api/types";
import { asText, callsOf, inAll, marksOf, tail } from "./overview";

const row = (more: Partial<ModelSums>): ModelSums => ({
  model: "m",
  calls: 0,
  reused: 0,
  errors: 0,
  input_tokens: 0,
  output_tokens: 0,
  usd: null,
  unpriced: 0,
  seconds: 0,
  slowest: 0,
  ...more,
});

describe("the sums of an overview", () => {
  it("count live and replayed calls", () => {
    expect(callsOf([row({ calls: 2 }), row({ reused: 3 })])).toBe(5);
    expect(callsOf([])).toBe(0);
  });
  it("add dollars exactly and leave out what has no price", () => {
    const all = inAll([row({ usd: "0.1", calls: 1, slowest: 2 }), row({ usd: "0.2", calls: 1, slowest: 7 }), row({ calls: 1, unpriced: 1 })]);
    expect([all.usd, all.unpriced, all.calls, all.slowest]).toEqual(["0.3", 1, 3, 7]);
    expect(inAll([row({ calls: 1, unpriced: 1 })]).usd).toBeNull();
  });
});

describe("texts", () => {
  it("are shown as they are, and other values as JSON", () => {
    expect(asText("a <b> c")).toBe("a <b> c");
    expect(asText({ a: [1] })).toBe('{\n  "a": [\n    1\n  ]\n}');
    expect(asText(null)).toBe("null");
  });
  it("keep the end of a path", () => {
    expect(tail("/srv/ada/project/agent.py:3")).toBe("project/agent.py:3");
    expect(tail("agent.py:3")).toBe("agent.py:3");
  });
  it("find marks by their Run", () => {
    expect(marksOf([{ run: "a", passed: 1, failed: 0 }]).get("a")?.passed).toBe(1);
  });
});
