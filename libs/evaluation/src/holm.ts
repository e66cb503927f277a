/**
 * Holm's correction for many comparisons (Scandinavian Journal of Statistics 6, 1979). The smallest of m p values is multiplied
 * by m, the next by m - 1, and so on. No adjusted value may fall below the one before it. The chance of any false finding is
 * then at most the level, also if the comparisons depend on each other.
 */

/** @returns adjusted p values, at most 1, in the order of the input */
export function holmAdjusted(pValues: readonly number[]): number[] {
  const order = pValues.map((_, index) => index).sort((a, b) => (pValues[a] as number) - (pValues[b] as number));
  const adjusted = new Array<number>(pValues.length).fill(1);
  let largest = 0;
  order.forEach((index, rank) => {
    largest = Math.max(largest, Math.min(1, (pValues.length - rank) * (pValues[index] as number)));
    adjusted[index] = largest;
  });
  return adjusted;
}
