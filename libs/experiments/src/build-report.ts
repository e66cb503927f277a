/**
 * Builds the report of an experiment, section by section: scores, tests against chance, scores by class, calibration,
 * training curves, reconstructions and latents, provenance. The report states nothing that the results do not hold.
 */
import { compareSystems } from './compare-systems.js';
import { comparisonSentences, comparisonTable } from './class-tables.js';
import type { ExperimentResults } from './experiment-results.js';
import { counted, grouped, interval, listed, percent } from './format-numbers.js';
import { classSection, learntSection, scoresSection, trainingSection } from './report-sections.js';
import { howItWasMade } from './provenance-section.js';
import type { Report, ReportSection } from './report-blocks.js';
import { levelRows } from './level-rows.js';
import { primaryTask } from './primary-task.js';
import { summariseResults, type TaskSummary } from './summarise-results.js';
import { taskInText } from './task-names.js';

export const syntheticMark = 'Synthetic voices: no evidence about real emotion.';

export interface BuiltReport {
  report: Report;
  summaries: TaskSummary[];
  families: ReturnType<typeof compareSystems>;
}

export async function buildReport(results: ExperimentResults): Promise<BuiltReport> {
  const summaries = summariseResults(results);
  const families = compareSystems(results, summaries);
  const comparisons: ReportSection = {
    id: 'comparisons',
    title: 'Differences beyond chance',
    blocks:
      families.length > 0
        ? families.map(comparisonTable)
        : [{ kind: 'text', text: 'This experiment has fewer than two systems, so there is nothing to compare.' }],
  };
  const sections = [
    await scoresSection(results, summaries),
    comparisons,
    await classSection(results, summaries),
    await trainingSection(results),
    await learntSection(results),
    howItWasMade(results),
  ].filter(({ blocks }) => blocks.length > 0);
  return { report: { ...heading(results), summary: summaryOf(results, { summaries, families }), sections }, summaries, families };
}

function heading({ experiment, isSynthetic, missing, results }: ExperimentResults): Omit<Report, 'summary' | 'sections'> {
  const banners: Report['banners'] = [];
  if (isSynthetic) {
    banners.push({
      kind: 'synthetic',
      text: 'The voices of this experiment are synthetic: a speech synthesiser “acts” emotions by a table. This report shows that the experiment runs and how a report looks. It is no evidence about real emotion, real speakers, or the paper’s claims.',
    });
  }
  if (missing.length > 0) {
    const planned = missing.length + results.length;
    banners.push({
      kind: 'partial',
      text: `Partial: ${counted(missing.length, 'job')} of ${planned} not done. The numbers below come from the finished jobs and will change.`,
    });
  }
  const { title, paperReference, note } = experiment;
  const reference =
    paperReference === null
      ? ''
      : `${paperReference} of Rana et al., “Multi-task semi-supervised adversarial autoencoding for speech emotion recognition”. `;
  return { title, subtitle: `${reference}${note}`, mark: isSynthetic ? syntheticMark : null, banners };
}

function summaryOf(results: ExperimentResults, { summaries, families }: Omit<BuiltReport, 'report'>): string[] {
  const { protocol, rows, missing, experiment } = results;
  const isSweep = experiment.layout === 'lines';
  const targets = [...new Set(rows.map(primaryTask))];
  // A sweep's figure has a line for each task. The speaker task has no best point: more speakers are harder to tell apart.
  const tasks = isSweep ? [...new Set(summaries.map(({ task }) => task))].filter((task) => task !== 'speaker') : targets;
  const level = levelRows(summaries, missing);
  const ran = rows.filter(({ isQuotedOnly }) => !isQuotedOnly);
  const systems = new Set(ran.map(({ label }) => label)).size;
  const planned = results.results.length + missing.length;
  const lines = [
    `${counted(systems, 'system')}${targets.length > 1 ? `, ${targets.length} targets` : ''}, ${counted(protocol.folds, 'fold')}, ${counted(protocol.seeds.length, 'seed')}: ${missing.length === 0 ? 'all' : `${results.results.length} of`} ${counted(planned, 'job')} done${extent(summaries)}.`,
  ];
  for (const task of tasks) {
    const own = summaries.filter((each) => each.task === task && (isSweep || primaryTask(each.row) === task));
    if (own.length === 0) continue;
    const best = own.reduce((a, b) => (b.ua.mean > a.ua.mean ? b : a));
    const at =
      best.point === null || level.has(best.row.id) ? '' : ` at ${(protocol.sweep ?? 'point').toLowerCase()} = ${grouped(best.point)}`;
    const range = best.ua.interval ? `, 95 % interval ${interval(best.ua.interval)}` : '';
    const name = isSweep ? best.names.full : best.names.short;
    lines.push(`Highest UA in ${taskInText(task)}: ${name}${at}, ${percent(best.ua.mean)} %${range}.`);
  }
  lines.push(...comparisonSentences(families.filter(({ task }) => tasks.includes(task))));
  const behind = againstPaper(summaries);
  if (behind.length > 0)
    lines.push(
      `Against the paper’s numbers ours differ by ${listed(behind)} points of UA${results.isSynthetic ? ', which is not meaningful for synthetic voices' : ''}.`,
    );
  return lines;
}

/** The number of utterances and speakers of the largest test. */
function extent(summaries: readonly TaskSummary[]): string {
  const largest = Math.max(0, ...summaries.map(({ utterances }) => utterances));
  const speakers = Math.max(0, ...summaries.filter(({ utterances }) => utterances === largest).map((each) => each.speakers));
  return largest === 0
    ? ''
    : `; tested on ${counted(largest, 'utterance')} of ${speakers === 0 ? 'unknown speakers' : counted(speakers, 'speaker')}`;
}

function againstPaper(summaries: readonly TaskSummary[]): string[] {
  const differences = summaries.flatMap(({ row, task, ua }) => {
    const quoted = row.quoted.find((each) => each.task === task && each.measure === 'ua' && task === primaryTask(row));
    return quoted ? [100 * ua.mean - quoted.value] : [];
  });
  if (differences.length === 0) return [];
  const ends = [Math.min(...differences), Math.max(...differences)].map(
    (each) => `${each > 0 ? '+' : each < 0 ? '−' : ''}${Math.abs(each).toFixed(1)}`,
  );
  return ends[0] === ends[1] ? [ends[0] as string] : [ends.join(' to ')];
}
