import { describe, expect, it } from "vitest";
import { ago, change, clock, dollars, duration, money, number, plural, short, sumOfDollars } from "./format";

describe("numbers", () => {
  it.each([
    [0, "0"], [1, "1"], [12345, "12,345"], [0.5, "0.5"], [1 / 3, "0.33333"], [-2.5, "−2.5"],
    [1e9, "1e9"], [1.23456e-7, "1.235e−7"], [123456.789, "123460"],
  ])("%d is %s", (value, text) => expect(number(value)).toBe(text));
  it("says what is no number", () => {
    expect(["nan", "inf", "-inf", Number.NaN, Infinity, -Infinity].map((v) => number(v as number))).toEqual([
      "NaN", "∞", "−∞", "NaN", "∞", "−∞",
    ]);
    expect(number(null)).toBe("–");
  });
  it("shortens without rounding up to the next unit", () => {
    expect([999, 1000, 1250, 99_999, 999_999, 1_500_000].map(short)).toEqual(["999", "1k", "1.2k", "99.9k", "999k", "1.5M"]);
  });
});

describe("dollars", () => {
  it.each([
    ["0", "$0"], ["0.00", "$0"], ["1", "$1.00"], ["1234567.891", "$1,234,567.89"], ["0.0123", "$0.0123"],
    ["0.000000123456", "$0.00000012"], ["0.99999", "$1.00"], ["12.345", "$12.35"], ["0.5", "$0.50"],
  ])("%s is %s", (usd, text) => expect(dollars(usd)).toBe(text));
  it("are never $0 where something was spent", () => {
    for (let places = 1; places <= 12; places++) expect(dollars(`0.${"0".repeat(places - 1)}1`)).not.toBe("$0");
  });
  it("are unpriced, not free, where no price is known", () => {
    expect(money(null, 3, 3).text).toBe("unpriced");
    expect(money("0.5", 2, 5)).toEqual({ text: "$0.50", exact: "$0.5", unpriced: 2 });
    expect(money("0", 0, 0).text).toBe("$0");
  });
  it("keep every digit in the exact form and in sums", () => {
    expect(money("0.123456789012").exact).toBe("$0.123456789012");
    expect(sumOfDollars(["0.1", null, "0.2"])).toBe("0.3");
    expect(sumOfDollars([null])).toBeNull();
  });
});

describe("times", () => {
  it.each([
    [0.004, "4 ms"], [0.0999, "0.1 s"], [3.24, "3.2 s"], [9.96, "10 s"], [59.7, "1m 00s"], [61, "1m 01s"],
    [3599.6, "1h 00m"], [7384, "2h 03m"], [90_000, "1d 1h"],
  ])("%d s is %s", (seconds, text) => expect(duration(seconds)).toBe(text));
  it("count whole seconds while they run", () => expect([0.9, 12.7, 75].map(clock)).toEqual(["0 s", "12 s", "1m 15s"]));
  it("look back", () =>
    expect([5, 65, 7200, 86_400 * 3].map((s) => ago(1e9 - s, 1e9))).toEqual(["just now", "1m ago", "2h ago", "3d ago"]));
});

it("counts things", () => expect([0, 1, 1200].map((n) => plural(n, "call"))).toEqual(["0 calls", "1 call", "1,200 calls"]));
it("signs a score's change", () => {
  expect(change(0.875, 1)).toBe("+0.125");
  expect(change(0.875, 0.75)).toBe("−0.125");
  expect(change(0.5, 0.5)).toBe("±0");
  expect(change(null, 1)).toBeNull();
  expect(change("nan", 1)).toBeNull();
});
