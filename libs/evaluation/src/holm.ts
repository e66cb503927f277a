/**
 * Many comparisons at once find something by luck. Holm (Scandinavian Journal of Statistics 6, 1979): of m p values the
 * smallest is multiplied by m, the next by m - 1, and so on; none may fall below the one before it. The chance of one or
 * more false findings is then at most the level, whatever the comparisons have to do with each other.
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
