/** Exponential moving average without the bias of its beginning; gaps stay gaps and are not averaged in. */
export function ema(values: readonly (number | null)[], weight: number): (number | null)[] {
  if (weight <= 0) return [...values];
  const keep = Math.min(weight, 0.999);
  let average = 0;
  let missing = 1;
  return values.map((value) => {
    if (value === null || !Number.isFinite(value)) return null;
    average = average * keep + value * (1 - keep);
    missing *= keep;
    return average / (1 - missing);
  });
}
