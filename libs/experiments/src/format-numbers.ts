/** Formats numbers as a paper prints them: percent with one decimal, a true minus sign, a dash for an absent number. */
export const nothing = '–';

/** @param share 0 to 1 */
export const percent = (share: number | null | undefined, decimals = 1): string =>
  share === null || share === undefined ? nothing : (share * 100).toFixed(decimals);

/** @param share difference of two shares @returns signed percentage points */
export function signedPoints(share: number): string {
  const points = (share * 100).toFixed(1);
  if (Number(points) === 0) return '0.0';
  return share > 0 ? `+${points}` : points.replace('-', '−');
}

export const interval = (range: readonly [number, number] | null, format: (share: number) => string = percent): string =>
  range === null ? nothing : `${format(range[0])} to ${format(range[1])}`;

/** @param value p of a test, 0 to 1 */
export const pValue = (value: number): string => (value < 0.001 ? '< 0.001' : value.toFixed(3));

/** @param count of utterances or other things, printed as 12,345 */
export const grouped = (count: number): string =>
  Number.isInteger(count) ? String(count).replace(/\B(?=(\d{3})+(?!\d))/g, ',') : String(count);

export const counted = (count: number, one: string, many = `${one}s`): string => `${grouped(count)} ${count === 1 ? one : many}`;

export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${grouped(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

/** "a", "a and b", "a, b and c". */
export const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
