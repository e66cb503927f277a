/** The closing table of a fuzz run. */
import type { FuzzReport } from './run-fuzz.js';

export function closingTable({
  seed,
  cases,
  answersOfStore,
  letters,
  services,
  goodRecordings,
  settledAfterSec,
  lastToSettle,
}: FuzzReport): string {
  const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((total, count) => total + count, 0);
  const listed = (counts: Record<string, number>): string =>
    Object.entries(counts)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  const rows: [string, string | number][] = [
    ['seed', seed],
    ['cases', `${sum(cases)}: ${listed(cases)}`],
    ['answers of the store that were not its own', `${sum(answersOfStore)}: ${listed(answersOfStore)}`],
    ['dead letters', `${sum(letters)}: ${listed(letters)}`],
    ['good recordings, all in shards', goodRecordings],
    ['settled after', `${settledAfterSec.toFixed(1)} s`],
    ['last to settle', lastToSettle.join('; ')],
    ...Object.entries(services).map(([name, { longestDownSec, restarts, peakMemoryMb }]): [string, string] => [
      name,
      `longest time down ${longestDownSec.toFixed(1)} s, ${restarts} restarts, at most ${peakMemoryMb ?? '?'} MB`,
    ]),
  ];
  return rows.map(([name, value]) => `| ${name} | ${value} |`).join('\n');
}
