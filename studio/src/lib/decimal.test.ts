import { describe, expect, it } from "vitest";
import { addDecimals, compareDecimals, decimalText, parseDecimal, roundDecimal } from "./decimal";

const of = (text: string) => {
  const value = parseDecimal(text);
  if (!value) throw new Error(text);
  return value;
};

describe("decimals", () => {
  it("come back as they were written, without idle zeros", () => {
    for (const text of ["0", "1", "12.5", "0.000000000001", "123456789012345678901234567890.1"])
      expect(decimalText(of(text))).toBe(text);
    expect(decimalText(of("1.500"))).toBe("1.5");
    expect(decimalText(of("-0.05"))).toBe("-0.05");
    expect(decimalText(of("1e-7"))).toBe("0.0000001");
    expect(decimalText(of("2E3"))).toBe("2000");
  });
  it("are not made from what is none", () => {
    for (const text of ["", "nan", "1,5", "$1", "1e999", "0x10"]) expect(parseDecimal(text)).toBeNull();
  });
  it("add exactly where floats do not", () => {
    expect(decimalText(addDecimals(of("0.1"), of("0.2")))).toBe("0.3");
    const many = Array.from({ length: 1000 }, () => of("0.000000000001"));
    expect(decimalText(many.reduce(addDecimals))).toBe("0.000000001");
  });
  it("compare whatever their places", () => {
    expect(compareDecimals(of("1.0"), of("1"))).toBe(0);
    expect(compareDecimals(of("0.9999999999999999999"), of("1"))).toBe(-1);
  });
  it("round half away from zero", () => {
    expect(decimalText(roundDecimal(of("0.125"), 2))).toBe("0.13");
    expect(decimalText(roundDecimal(of("-0.125"), 2))).toBe("-0.13");
    expect(decimalText(roundDecimal(of("0.1249"), 2))).toBe("0.12");
    expect(decimalText(roundDecimal(of("9.99"), 1), 2)).toBe("10.00");
  });
});
