/** Prints the final table of a chaos run. */
import type { ChaosReport } from './run-chaos.js';

export function closingTable(report: ChaosReport): string {
  const listed = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || 'none';
  const faultCount = Object.values(report.faults).reduce((sum, count) => sum + count, 0);
  const rows: [string, string | number][] = [
    ['seed', report.seed],
    ['duration', `${report.durationSec} s`],
    ['stream', listed(report.stream)],
    ['faults survived', `${faultCount}: ${listed(report.faults)}`],
    ['never happened', report.missedFaults.join(', ') || 'none'],
    ['restarts by the supervisor', report.restarts],
    ['utterances alive', report.alive],
    ['dead letters', listed(report.deadLetters)],
    ['rounds trained', report.rounds],
    ['unreferenced shards', report.unreferencedShards],
    ['settled after', `${report.settledAfterSec} s`],
    ['result', report.problems.length === 0 ? 'exact' : `${report.problems.length} problems`],
  ];
  return rows.map(([name, value]) => `| ${name} | ${value} |`).join('\n');
}
