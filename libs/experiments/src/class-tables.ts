/** Builds the tables of recall by class, of calibration, and of the comparisons between systems. */
import { type Comparison, type ComparisonFamily } from './compare-systems.js';
import { interval, nothing, percent, pValue, signedPoints, grouped, listed } from './format-numbers.js';
import { mostClasses } from './class-charts.js';
import type { ReportTable } from './report-blocks.js';
import { primaryTask } from './primary-task.js';
import type { TaskSummary } from './summarise-results.js';
import { taskInText, taskName, taskShort } from './task-names.js';

const level = 0.05;

/** @param summaries of one task */
export function recallTable(summaries: readonly TaskSummary[], where: string): ReportTable {
  const [{ task, classes }] = summaries as [TaskSummary, ...TaskSummary[]];
  return {
    kind: 'table',
    id: `recall-${task}`,
    caption: `${taskName(task)}: recall by class, pooled over folds and seeds${where}; percent of a class’s utterances that the system answered right.`,
    columns: [{ name: 'System' }, ...classes.map((name) => ({ name, numeric: true })), { name: 'UA', numeric: true }],
    rows: summaries.map(({ row, names, recall, ua }) => [
      primaryTask(row) === task ? names.short : names.full,
      ...recall.map((value) => percent(value)),
      percent(ua.pooled),
    ]),
  };
}

/** With more classes than this (the speaker task) only the range is printed. */
export const hasFewClasses = ({ classes }: TaskSummary): boolean => classes.length <= mostClasses;

export function calibrationTable(summaries: readonly TaskSummary[], where: string): ReportTable {
  return {
    kind: 'table',
    id: 'calibration',
    caption: `Expected calibration error (ECE) of the probabilities, ten bins of equal width, pooled over folds and seeds${where}; percent. At an ECE of zero, 70 % of the answers given with probability 70 % are right.`,
    columns: [
      { name: 'System' },
      { name: 'Task' },
      ...['ECE', 'mean probability', 'WA, pooled', 'answers'].map((name) => ({ name, numeric: true })),
    ],
    rows: summaries.flatMap(({ names, task, calibration, wa }) => {
      if (!calibration) return [];
      const confidence = calibration.bins.reduce((sum, bin) => sum + bin.count * (bin.confidence ?? 0), 0) / calibration.n;
      return [[names.full, taskShort(task), percent(calibration.ece), percent(confidence), percent(wa.pooled), grouped(calibration.n)]];
    }),
  };
}

export function comparisonTable({ task, between, comparisons }: ComparisonFamily): ReportTable {
  const reasons = [...new Set(comparisons.flatMap(({ why }) => why ?? []))];
  const speakers = Math.max(...comparisons.map((each) => each.speakers));
  const compared = {
    systems: 'each system against every other',
    points: 'each point of a line against the line’s first point',
    'systems-by-point': `each system against ${comparisons[0]?.second.names.full ?? ''} at the same point`,
  }[between];
  return {
    kind: 'table',
    id: `comparisons-${task}${between === 'systems-by-point' ? '-by-point' : ''}`,
    caption: `${taskName(task)}: ${compared}, difference of UA in points on the same utterances of ${speakers} speakers, by paired bootstrap over speakers. p is two-sided; “p corrected” applies Holm’s method to the ${comparisons.length} comparisons of this table.`,
    columns: [
      { name: 'System' },
      { name: { systems: 'against', points: 'points', 'systems-by-point': 'point' }[between] },
      ...['difference', '95 % interval', 'p', 'p corrected'].map((name) => ({ name, numeric: true })),
      { name: 'beyond chance' },
    ],
    rows: comparisons.map((comparison) => [comparison.first.names.full, oppositeOf(comparison, between), ...cellsOf(comparison)]),
    notes: reasons.map((why) => `Not tested: ${why}.`),
  };
}

function oppositeOf({ first, second }: Comparison, between: ComparisonFamily['between']): string {
  if (between === 'systems') return second.names.full;
  const at = grouped(first.point ?? 0);
  return between === 'points' ? `${at} against ${grouped(second.point ?? 0)}` : at;
}

function cellsOf({ tested }: Comparison): ReportTable['rows'][number] {
  if (!tested) return [nothing, nothing, nothing, nothing, 'not tested'];
  const { difference, interval: range, p, adjusted } = tested;
  const yes = { text: 'yes', strong: true } as const;
  return [signedPoints(difference), interval(range, signedPoints), pValue(p), pValue(adjusted), isBeyondChance(tested) ? yes : 'no'];
}

const isBeyondChance = (tested: Comparison['tested']): boolean => tested !== null && tested.adjusted < level;

/** States the comparisons in sentences, for the summary. */
export function comparisonSentences(families: readonly ComparisonFamily[]): string[] {
  const counts: string[] = [];
  const untested: string[] = [];
  for (const { task, between, comparisons } of families) {
    const where = `in ${taskInText(task)}${{ systems: '', points: ' between points', 'systems-by-point': ' between systems' }[between]}`;
    const tested = comparisons.filter((each) => each.tested !== null);
    if (tested.length === 0)
      untested.push(`Differences ${where} could not be tested: ${comparisons[0]?.why ?? 'there is nothing to compare'}.`);
    else counts.push(`${tested.filter((each) => isBeyondChance(each.tested)).length} of ${tested.length} ${where}`);
  }
  const found = counts.length === 0 ? [] : [`Differences beyond chance (p < ${level} after correction): ${listed(counts)}.`];
  return [...found, ...untested];
}
