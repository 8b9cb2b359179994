/** Exact sums and roundings of decimal strings (dollars), without floating point. */

export interface Decimal {
  readonly digits: bigint;
  readonly scale: number;
}

const SHAPE = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

export function parseDecimal(text: string): Decimal | null {
  const found = SHAPE.exec(text.trim());
  if (!found) return null;
  const [, sign, whole = "0", part = "", exponent = "0"] = found;
  const power = Number(exponent);
  if (Math.abs(power) > 100) return null;
  let digits = BigInt(whole + part);
  let scale = part.length - power;
  if (scale < 0) {
    digits *= 10n ** BigInt(-scale);
    scale = 0;
  }
  return { digits: sign ? -digits : digits, scale };
}

export function addDecimals(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return { digits: scaled(a, scale) + scaled(b, scale), scale };
}

export function compareDecimals(a: Decimal, b: Decimal): number {
  const scale = Math.max(a.scale, b.scale);
  const [left, right] = [scaled(a, scale), scaled(b, scale)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The exact value; zeros at the end of the fraction are left out, but `least` places are kept. */
export function decimalText({ digits, scale }: Decimal, least = 0): string {
  const negative = digits < 0n;
  const all = String(negative ? -digits : digits).padStart(scale + 1, "0");
  const whole = all.slice(0, all.length - scale);
  const part = all.slice(all.length - scale).replace(/0+$/, "").padEnd(least, "0");
  return (negative ? "-" : "") + whole + (part && scale + least > 0 ? `.${part}` : "");
}

/** Rounded half away from zero to so many places. */
export function roundDecimal(value: Decimal, places: number): Decimal {
  if (value.scale <= places) return value;
  const unit = 10n ** BigInt(value.scale - places);
  const negative = value.digits < 0n;
  const whole = negative ? -value.digits : value.digits;
  const digits = (whole + unit / 2n) / unit;
  return { digits: negative ? -digits : digits, scale: places };
}

function scaled(value: Decimal, scale: number): bigint {
  return value.digits * 10n ** BigInt(scale - value.scale);
}
