/** Tables of scores in the paper's layout: ours beside the paper's with the difference; and where each number comes from. */
import type { Task } from '#contracts/labels.js';
import { interval, nothing, percent, signedPoints, grouped } from './format-numbers.js';
import type { ExperimentResults, ExperimentRow } from './experiment-results.js';
import { measuresOf, quotedOf } from './quoted-scores.js';
import type { Cell, ReportTable } from './report-blocks.js';
import { primaryTask, type Measure, type MeasureName, type TaskSummary } from './summarise-results.js';
import { taskInText, taskName, taskShort } from './task-names.js';

/** One of a table's groups of columns. */
interface Group {
  task: Task;
  measure: MeasureName;
}

/** With more groups than this, intervals have their place in the table of sources only: the page has an end. */
const mostGroupsWithIntervals = 2;
const mostGroups = 4;

/**
 * Rows that have one label and different targets share a line, as in the paper's Table IV.
 * @param summaries of these results
 */
export function scoreTables(results: ExperimentResults, summaries: readonly TaskSummary[]): ReportTable[] {
  const tasks = [...new Set(results.rows.map(primaryTask))];
  const measures = measuresOf(results.rows);
  const groups = tasks.flatMap((task) => measures.map((measure): Group => ({ task, measure })));
  const tables = Math.ceil(groups.length / mostGroups);
  const each = Math.ceil(groups.length / tables);
  return Array.from({ length: tables }, (_, part) =>
    scoreTable(groups.slice(part * each, (part + 1) * each), { results, summaries, part, several: tasks.length > 1 }),
  );
}

interface TableContext {
  results: ExperimentResults;
  summaries: readonly TaskSummary[];
  part: number;
  /** Whether the experiment has more than one target. */
  several: boolean;
}

function scoreTable(groups: readonly Group[], { results, summaries, part, several }: TableContext): ReportTable {
  const isQuoted = groups.map(({ task, measure }) =>
    results.rows.some((row) => primaryTask(row) === task && quotedOf(row, task, measure) !== undefined),
  );
  const withIntervals = groups.length <= mostGroupsWithIntervals || !isQuoted.includes(true);
  const { paperReference } = results.experiment;
  const best = groups.map(({ task, measure }) => Math.max(...ofTask(summaries, task).map((each) => each[measure].mean)));
  const rowsOfLabel = Map.groupBy(results.rows, ({ label }) => label);
  const tasks = groups.map(({ task }) => task);
  const lines = [...rowsOfLabel].filter(([, rows]) => rows.some((row) => tasks.includes(primaryTask(row))));
  return {
    kind: 'table',
    id: `scores-${part + 1}`,
    caption: [
      `${taskList(tasks)}: ours, mean ± standard deviation over ${results.protocol.folds} folds`,
      withIntervals ? ', with the 95 % interval by bootstrap over speakers' : '',
      isQuoted.includes(true)
        ? `, beside ${paperReference === null ? 'published numbers' : `${paperReference} of the paper`}; percent. Diff.: ours less the paper’s, in points.`
        : '; percent.',
      ' The highest of ours is bold.',
    ].join(''),
    columns: [
      { name: 'System' },
      ...groups.flatMap(({ task, measure }, index) => {
        const group = several ? `${taskName(task)}, ${measure.toUpperCase()}` : measure.toUpperCase();
        const names = ['ours', ...(withIntervals ? ['95 % interval'] : []), ...(isQuoted[index] ? ['paper', 'diff.'] : [])];
        return names.map((name) => ({ group, name, numeric: true }));
      }),
    ],
    rows: lines.map(([label, rows]) => [
      label,
      ...groups.flatMap(({ task, measure }, index): Cell[] => {
        const row = rows.find((each) => primaryTask(each) === task);
        const scores = row && ofTask(summaries, task).find((each) => each.row.id === row.id)?.[measure];
        return cellsOf(scores, {
          quoted: row && quotedOf(row, task, measure)?.value,
          isBest: scores?.mean === best[index],
          withIntervals,
          isQuoted: isQuoted[index] === true,
        });
      }),
    ]),
    notes: notesOf(
      results,
      lines.flatMap(([, rows]) => rows),
    ),
  };
}

/** Of a sweep there is one for each point; the last counts. */
const ofTask = (summaries: readonly TaskSummary[], task: Task): TaskSummary[] =>
  [
    ...Map.groupBy(
      summaries.filter((each) => each.task === task && primaryTask(each.row) === task),
      ({ row }) => row.id,
    ).values(),
  ].map((own) => own.at(-1) as TaskSummary);

function cellsOf(
  scores: Measure | undefined,
  { quoted, isBest, withIntervals, isQuoted }: { quoted: number | undefined; isBest: boolean; withIntervals: boolean; isQuoted: boolean },
): Cell[] {
  const ours = scores ? meanAndSd(scores) : nothing;
  return [
    isBest ? { text: ours, strong: true } : ours,
    ...(withIntervals ? [interval(scores?.interval ?? null)] : []),
    ...(isQuoted
      ? [
          quoted === undefined ? nothing : String(quoted),
          scores && quoted !== undefined ? signedPoints(scores.mean - quoted / 100) : nothing,
        ]
      : []),
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
    notes.push(`Quoted only, not run here: ${[...new Set(quoted)].join(', ')}. Protocol and data are those of its authors.`);
  if (isSynthetic && rows.some((row) => row.quoted.length > 0))
    notes.push('Ours are of synthetic voices and the paper’s of real speech: the differences say nothing of either system.');
  return notes;
}

/** Scores by the points of a sweep: a line for each row and task, a column for each point. */
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
      (own[0] as TaskSummary).row.label,
      ...points.map((point) => {
        const found = own.find((each) => each.point === point);
        return found ? meanAndSd(found.ua) : nothing;
      }),
    ]),
  };
}

/** Lines of one task together, in the order in which tasks come. */
function orderOf(summaries: readonly TaskSummary[], summary: TaskSummary | undefined): number {
  const tasks = [...new Set(summaries.map(({ task }) => task))];
  return tasks.indexOf(summary?.task as Task);
}

/** Behind each number: how many utterances, speakers, folds and seeds. */
export function sourcesTable(results: ExperimentResults, summaries: readonly TaskSummary[]): ReportTable {
  const hasPoints = results.protocol.sweep !== null;
  return {
    kind: 'table',
    id: 'sources',
    caption:
      'Every score of this experiment, in percent, and what it rests on: n test utterances. SD: standard deviation of UA over folds, and over seeds. Pooled: UA over the test utterances of all folds, which the interval is of.',
    columns: [
      { name: 'System' },
      { name: 'Task' },
      ...(hasPoints ? [{ name: results.protocol.sweep as string, numeric: true }] : []),
      ...['WA', 'UA', 'SD folds', 'SD seeds', 'pooled', '95 % interval', 'n', 'speakers', 'folds × seeds', 'jobs'].map((name) => ({
        name,
        numeric: true,
      })),
    ],
    rows: summaries.map(({ row, task, point, wa, ua, utterances, speakers, folds, seeds, jobs }) => [
      row.label,
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
    notes.push('Recognising speakers has no interval: speakers are the classes there, and drawing them would drop classes.');
  if (without.some(({ task }) => task !== 'speaker'))
    notes.push(
      'No interval where fewer than five test speakers are known by name: it would not cover what it says (with two speakers 53 %, not 95).',
    );
  return notes;
}
