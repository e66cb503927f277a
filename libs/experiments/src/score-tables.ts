/** Builds tables of scores in the paper's layout, with ours beside the paper's, and a table of the data behind each score. */
import type { Task } from '#contracts/labels.js';
import { interval, nothing, percent, signedPoints, grouped } from './format-numbers.js';
import type { ExperimentResults, ExperimentRow } from './experiment-results.js';
import { levelRows } from './level-rows.js';
import { namesOfRows } from './row-names.js';
import { measuresOf, quotedOf } from './quoted-scores.js';
import type { Cell, ReportTable } from './report-blocks.js';
import { primaryTask } from './primary-task.js';
import type { Measure, MeasureName, TaskSummary } from './summarise-results.js';
import { taskInText, taskName, taskShort } from './task-names.js';

/** One of a table's groups of columns. */
interface Group {
  task: Task;
  measure: MeasureName;
  /** True if there is a published number for any row. */
  isQuoted: boolean;
  /** Our highest mean. */
  best: number;
}

/** The number of groups that fit the width of a page, with and without the paper's numbers. */
const mostGroups = { quoted: 2, own: 4 };

/**
 * Rows with the same label and different targets share a line, as in the paper's Table IV.
 * @param summaries of these results
 */
export function scoreTables(results: ExperimentResults, summaries: readonly TaskSummary[]): ReportTable[] {
  const { rows } = results;
  const tasks = [...new Set(rows.map(primaryTask))];
  const measures = measuresOf(rows);
  const groups = tasks.flatMap((task) =>
    measures.map((measure): Group => {
      const isQuoted = rows.some((row) => primaryTask(row) === task && quotedOf(row, task, measure) !== undefined);
      return { task, measure, isQuoted, best: Math.max(...ofTask(summaries, task).map((each) => each[measure].mean)) };
    }),
  );
  const most = groups.some(({ isQuoted }) => isQuoted) ? mostGroups.quoted : mostGroups.own;
  // WA and UA of one target stay together.
  const each = measures.length * Math.max(1, Math.floor(most / measures.length));
  return Array.from({ length: Math.ceil(groups.length / each) }, (_, part) =>
    scoreTable(groups.slice(part * each, (part + 1) * each), { results, summaries, part, several: tasks.length > 1 }),
  );
}

interface TableContext {
  results: ExperimentResults;
  summaries: readonly TaskSummary[];
  part: number;
  /** True if the experiment has more than one target. */
  several: boolean;
}

function scoreTable(groups: readonly Group[], { results, summaries, part, several }: TableContext): ReportTable {
  const tasks = groups.map(({ task }) => task);
  const names = namesOfRows(results.rows);
  const lines = linesOf(results.rows.filter((row) => tasks.includes(primaryTask(row))));
  return {
    kind: 'table',
    id: `scores-${part + 1}`,
    caption: captionOf(groups, results),
    columns: [
      { name: 'System' },
      ...groups.flatMap(({ task, measure, isQuoted }) => {
        const group = several ? `${taskName(task)}, ${measure.toUpperCase()}` : measure.toUpperCase();
        return ['ours', '95 % interval', ...(isQuoted ? ['paper', 'diff.'] : [])].map((name) => ({ group, name, numeric: true }));
      }),
    ],
    rows: lines.map((rows) => [
      names.get((rows[0] as ExperimentRow).id)?.short ?? '',
      ...groups.flatMap((group) => {
        const row = rows.find((each) => primaryTask(each) === group.task);
        const scores = ofTask(summaries, group.task).find((each) => each.row.id === row?.id)?.[group.measure];
        return cellsOf(group, { scores, quoted: row && quotedOf(row, group.task, group.measure)?.value });
      }),
    ]),
    notes: notesOf(results, lines.flat()),
  };
}

function captionOf(groups: readonly Group[], { experiment, protocol }: ExperimentResults): string {
  const { paperReference } = experiment;
  const beside = paperReference === null ? 'published numbers' : `${paperReference} of the paper`;
  return [
    `${taskList(groups.map(({ task }) => task))}: ours, mean ± standard deviation over ${protocol.folds} folds, with the 95 % interval by bootstrap over speakers`,
    groups.some(({ isQuoted }) => isQuoted) ? `, beside ${beside}; percent. Diff.: ours less the paper’s, in points.` : '; percent.',
    ' Our highest score is bold.',
  ].join('');
}

/** Groups rows with the same label, one for each target. A second row of the same target starts another line. */
function linesOf(rows: readonly ExperimentRow[]): ExperimentRow[][] {
  const lines: ExperimentRow[][] = [];
  for (const row of rows) {
    const line = lines.find((own) => own[0]?.label === row.label && !own.some((each) => primaryTask(each) === primaryTask(row)));
    if (line) line.push(row);
    else lines.push([row]);
  }
  return lines;
}

/** A sweep has a summary for each point; the last point counts. */
function ofTask(summaries: readonly TaskSummary[], task: Task): TaskSummary[] {
  const own = summaries.filter((each) => each.task === task && primaryTask(each.row) === task);
  return [...Map.groupBy(own, ({ row }) => row.id).values()].map((points) => points.at(-1) as TaskSummary);
}

function cellsOf({ best, isQuoted }: Group, { scores, quoted }: { scores: Measure | undefined; quoted: number | undefined }): Cell[] {
  const ours = scores ? meanAndSd(scores) : nothing;
  const difference = scores && quoted !== undefined ? signedPoints(scores.mean - quoted / 100) : nothing;
  return [
    scores?.mean === best ? { text: ours, strong: true } : ours,
    interval(scores?.interval ?? null),
    ...(isQuoted ? [quoted === undefined ? nothing : String(quoted), difference] : []),
  ];
}

export const meanAndSd = ({ mean, sdOverFolds }: Measure): string =>
  sdOverFolds === null ? percent(mean) : `${percent(mean)} ± ${percent(sdOverFolds)}`;

export function taskList(tasks: readonly Task[]): string {
  const names = [...new Set(tasks)].map((task, index) => (index === 0 ? taskName(task) : taskInText(task)));
  return names.join(', ');
}

function notesOf({ isSynthetic }: ExperimentResults, rows: readonly ExperimentRow[]): string[] {
  const notes: string[] = [];
  const quoted = rows.filter(({ isQuotedOnly }) => isQuotedOnly).map(({ label }) => label);
  if (quoted.length > 0)
    notes.push(`Quoted only, not run here: ${[...new Set(quoted)].join(', ')}. Protocol and data are those of their authors.`);
  if (isSynthetic && rows.some((row) => row.quoted.length > 0))
    notes.push('Our scores are from synthetic voices and the paper’s from real speech, so the differences do not compare the systems.');
  return notes;
}

/** The scores of a sweep: a line for each row and task, a column for each point. */
export function sweepTable(results: ExperimentResults, summaries: readonly TaskSummary[]): ReportTable {
  const points = [...new Set(summaries.map(({ point }) => point))].sort((a, b) => (a ?? 0) - (b ?? 0));
  const sweep = results.protocol.sweep ?? 'point';
  const lines = [...Map.groupBy(summaries, ({ row, task }) => `${task} ${row.id}`).values()];
  lines.sort(([a], [b]) => orderOf(summaries, a) - orderOf(summaries, b));
  return {
    kind: 'table',
    id: 'sweep',
    caption: `UA by ${sweep.toLowerCase()}: mean ± standard deviation over ${results.protocol.folds} folds, percent.`,
    columns: [{ name: 'Task' }, { name: 'System' }, ...points.map((point) => ({ group: sweep, name: grouped(point ?? 0), numeric: true }))],
    rows: lines.map((own) => [
      taskShort((own[0] as TaskSummary).task),
      (own[0] as TaskSummary).names.full,
      ...points.map((point) => {
        const found = own.find((each) => each.point === point);
        return found ? meanAndSd(found.ua) : nothing;
      }),
    ]),
    notes:
      levelRows(summaries, results.missing).size > 0
        ? [`References do not depend on ${sweep.toLowerCase()}: they ran at its first point only.`]
        : [],
  };
}

/** Sorts lines by task, in the order in which tasks appear. */
function orderOf(summaries: readonly TaskSummary[], summary: TaskSummary | undefined): number {
  const tasks = [...new Set(summaries.map(({ task }) => task))];
  return tasks.indexOf(summary?.task as Task);
}

/** The numbers of utterances, speakers, folds and seeds behind each score. */
export function sourcesTable(results: ExperimentResults, summaries: readonly TaskSummary[]): ReportTable {
  const hasPoints = results.protocol.sweep !== null;
  return {
    kind: 'table',
    id: 'sources',
    caption:
      'Every score of this experiment, in percent, and the data behind it. n: test utterances. SD: standard deviation of UA over folds, and over seeds. Pooled: UA over the test utterances of all folds; the interval belongs to it.',
    columns: [
      { name: 'System' },
      { name: 'Task' },
      ...(hasPoints ? [{ name: results.protocol.sweep as string, numeric: true }] : []),
      ...['WA', 'UA', 'SD folds', 'SD seeds', 'pooled', '95 % interval', 'n', 'speakers', 'folds × seeds', 'jobs'].map((name) => ({
        name,
        numeric: true,
      })),
    ],
    rows: summaries.map(({ names, task, point, wa, ua, utterances, speakers, folds, seeds, jobs }) => [
      names.full,
      taskShort(task),
      ...(hasPoints ? [grouped(point ?? 0)] : []),
      percent(wa.mean),
      percent(ua.mean),
      percent(ua.sdOverFolds),
      percent(ua.sdOverSeeds),
      percent(ua.pooled),
      interval(ua.interval),
      grouped(utterances),
      grouped(speakers),
      `${folds} × ${seeds}`,
      grouped(jobs),
    ]),
    notes: noIntervalNotes(summaries),
  };
}

function noIntervalNotes(summaries: readonly TaskSummary[]): string[] {
  const without = summaries.filter(({ ua }) => ua.interval === null);
  const notes: string[] = [];
  if (without.some(({ task }) => task === 'speaker'))
    notes.push('The speaker task has no interval: its classes are speakers, so drawing speakers would drop classes.');
  if (without.some(({ task }) => task !== 'speaker'))
    notes.push(
      'Fewer than five test speakers known by name give no interval: it would be too narrow (with two speakers it covers 53 %, not 95).',
    );
  return notes;
}
