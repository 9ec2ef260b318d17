/**
 * The value below which a share of the samples lies, interpolated between neighbours (type 7 of Hyndman and Fan 1996,
 * the default of NumPy and R).
 * @param share 0 to 1
 */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const low = sorted[Math.floor(position)] ?? Number.NaN;
  const high = sorted[Math.ceil(position)] ?? Number.NaN;
  return low + (high - low) * (position - Math.floor(position));
}

export const median = (samples: readonly number[]) => quantile(samples, 0.5);
export const round = (value: number, digits = 0) => Number(value.toFixed(digits));
