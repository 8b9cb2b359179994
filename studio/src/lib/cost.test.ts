import { describe, expect, it } from "vitest";
import { byRole, type CostRow, share } from "./cost";

const row = (role: string, usd: string | null, calls = 1): CostRow => ({
  role, usd, calls, reused: 0, input_tokens: 10 * calls, output_tokens: calls, unpriced: usd === null ? calls : 0, seconds: 0.5,
});

describe("costs by role", () => {
  it("add up exactly, in the order of the work", () => {
    const found = byRole([row("optimizer", "0.1"), row("forward", "0.1"), row("other", "1"), row("forward", "0.2", 3)]);
    expect(found.map((each) => [each.role, each.usd, each.calls])).toEqual([
      ["forward", "0.3", 4], ["optimizer", "0.1", 1], ["other", "1", 1],
    ]);
  });
  it("keep what has a price beside what has none", () =>
    expect(byRole([row("forward", null, 2), row("forward", "0.5")])[0]).toMatchObject({ usd: "0.5", unpriced: 2, calls: 3 }));
  it("are unpriced where nothing has a price", () => expect(byRole([row("forward", null), row("forward", null)])[0]?.usd).toBeNull());
});

it("shares are of dollars, else of tokens", () => {
  expect(share(row("a", "0.25"), row("", "1"))).toBe(0.25);
  expect(share(row("a", null), row("", null, 4))).toBe(0.25);
  expect(share(row("a", null, 0), row("", null, 0))).toBe(0);
});
