/**
 * Tests if systems differ by more than chance: the UA of two systems on the same utterances, by paired bootstrap over
 * speakers, with Holm's correction over all comparisons of one task and kind. Every two rows of a table are compared. In a
 * sweep, each point is compared with the first point of its line, and each system with the first network at the same point.
 *
 * Jobs are paired by fold and seed; a job without its counterpart is left out. A reference has no seed, so it is paired with
 * every seed of the other system. p is two-sided, from the share of draws in which one system is better (ties halved). One
 * draw is added to either side, so that no p is 0. The test covers the choice of speakers only. The report gives the spread
 * over seeds as a standard deviation.
 */
import { fewestSpeakers } from '#evaluation/bootstrap.js';
import { holmAdjusted } from '#evaluation/holm.js';
import { type PairedScored, pairRows, uaDifference } from '#evaluation/paired-bootstrap.js';
import type { Task } from '#contracts/labels.js';
import { isReference } from './experiment-file.js';
import type { ExperimentResults, JobResult } from './experiment-results.js';
import { levelRows } from './level-rows.js';
import { primaryTask } from './primary-task.js';
import { reportedPredictions, type TaskSummary } from './summarise-results.js';

export interface Comparison {
  first: TaskSummary;
  second: TaskSummary;
  /** Null if the pair could not be tested; `why` gives the reason. */
  tested: {
    /** UA of the first minus UA of the second, and its 95 % interval. */
    difference: number;
    interval: [low: number, high: number];
    p: number;
    /** p after Holm's correction. */
    adjusted: number;
  } | null;
  why: string | null;
  speakers: number;
}

export interface ComparisonFamily {
  task: Task;
  /** `points`: against the first point of the line. `systems`: every two. `systems-by-point`: against the first network at that point. */
  between: 'systems' | 'points' | 'systems-by-point';
  comparisons: Comparison[];
}

export const draws = 10_000;

/** @param summaries of these results */
export function compareSystems({ results, experiment, missing }: ExperimentResults, summaries: readonly TaskSummary[]): ComparisonFamily[] {
  const isSweep = experiment.layout === 'lines';
  // The speaker task cannot be bootstrapped over speakers. Outside a sweep, auxiliary tasks are not compared.
  const compared = summaries.filter(({ task, row }) => task !== 'speaker' && (isSweep || task === primaryTask(row)));
  const level = levelRows(summaries, missing);
  return [...Map.groupBy(compared, ({ task }) => task)].flatMap(([task, own]) => {
    const kinds: [ComparisonFamily['between'], Pair[]][] = isSweep
      ? [
          ['points', againstFirstPoint(own)],
          ['systems-by-point', againstFirstNetwork(own.filter(({ row }) => !level.has(row.id)))],
        ]
      : [['systems', eachWithEach(own)]];
    return kinds.flatMap(([between, pairs]) => {
      const comparisons = corrected(pairs.map(([first, second]) => compare(results, first, second)));
      return comparisons.length > 0 ? [{ task, between, comparisons }] : [];
    });
  });
}

type Pair = [first: TaskSummary, second: TaskSummary];

const eachWithEach = (own: readonly TaskSummary[]): Pair[] =>
  own.flatMap((second, index) => own.slice(index + 1).map((first): Pair => [first, second]));

const againstFirstPoint = (own: readonly TaskSummary[]): Pair[] =>
  [...Map.groupBy(own, ({ row }) => row.id).values()].flatMap(([first, ...later]) =>
    first ? later.map((point): Pair => [point, first]) : [],
  );

function againstFirstNetwork(own: readonly TaskSummary[]): Pair[] {
  const first = own.find(({ row }) => !isReference(row));
  const others = own.filter(({ row }) => row.id !== first?.row.id);
  return others.flatMap((other) => {
    const there = own.find(({ row, point }) => row.id === first?.row.id && point === other.point);
    return there ? [[other, there] satisfies Pair] : [];
  });
}

function compare(results: readonly JobResult[], first: TaskSummary, second: TaskSummary): Comparison {
  const found = { first, second, tested: null, why: null, speakers: 0 };
  let pairs: PairedScored[];
  try {
    pairs = pairJobs(results, first, second);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { ...found, why: 'they were not tested on the same utterances' };
  }
  if (pairs.length === 0) return { ...found, why: 'they have no predictions of one fold and seed in common' };
  const known = pairs.filter(({ speakerId }) => speakerId !== '');
  const speakers = new Set(known.map(({ speakerId }) => speakerId)).size;
  const difference = uaDifference(known, first.classes.length, { draws });
  if (!difference) return { ...found, speakers, why: `fewer than ${fewestSpeakers} speakers` };
  const won = difference.probability * draws;
  const p = Math.min(1, (2 * (Math.min(won, draws - won) + 1)) / (draws + 1));
  return { ...found, speakers, tested: { difference: difference.difference, interval: difference.interval, p, adjusted: p } };
}

/** @throws RangeError if the two were not tested on the same utterances */
function pairJobs(results: readonly JobResult[], first: TaskSummary, second: TaskSummary): PairedScored[] {
  const jobsOf = ({ row, point }: TaskSummary): JobResult[] => results.filter(({ job }) => job.rowId === row.id && job.point === point);
  const isSeedless = [first, second].some(({ row }) => isReference(row));
  const isPair = ({ job: one }: JobResult, { job: other }: JobResult): boolean =>
    one.fold === other.fold && (isSeedless || one.seed === other.seed);
  const pairs = jobsOf(first).flatMap((result) =>
    jobsOf(second)
      .filter((other) => isPair(result, other))
      .map((other) => [result, other] as const),
  );
  return pairs.flatMap(([result, other]) => {
    const [ours, theirs] = [reportedPredictions(result, first.task), reportedPredictions(other, second.task)];
    if (ours.classes.join() !== theirs.classes.join()) throw new RangeError('their classes differ');
    return pairRows(ours.rows, theirs.rows);
  });
}

function corrected(comparisons: readonly Comparison[]): Comparison[] {
  const adjusted = holmAdjusted(comparisons.flatMap(({ tested }) => tested?.p ?? []));
  let next = 0;
  return comparisons.map((each) => (each.tested ? { ...each, tested: { ...each.tested, adjusted: adjusted[next++] as number } } : each));
}
