/**
 * Compares the UA of two models (paper, Section V) by paired bootstrap over speakers. Both models are scored on the same
 * utterances. Each draw takes the same speakers for both, with replacement and with all their utterances. A class that does not
 * occur in a draw counts for neither model. Without a second model the comparison is with guessing.
 *
 * A draw in which both are equally good counts as half a draw won. So a model is better than its own copy with probability 0.5.
 */
import { fewestSpeakers } from './bootstrap.js';
import { seededRandom } from './seeded-random.js';
import { confusionMatrix, mostProbable, scoresOf, type Scored } from './confusion.js';
import type { PredictionRow } from './predictions-file.js';

/** The answers of both models for one utterance. */
export interface PairedScored {
  speakerId: string;
  truth: number;
  challenger: number;
  champion: number;
}

export interface UaDifference {
  /** UA of the challenger minus UA of the champion (or minus the chance level). */
  difference: number;
  /** The interval that holds 95 % of the draws. */
  interval: [low: number, high: number];
  /** The share of draws in which the challenger is better, ties halved. */
  probability: number;
}

export interface BootstrapOptions {
  draws?: number;
  seed?: number;
}

/** Equal draws can differ by rounding up to this value. */
const equalWithin = 1e-12;

/**
 * Joins the rows of two models by utterance.
 * @throws RangeError if the rows differ in utterances or truths, so that they cannot be compared
 */
export function pairRows(challenger: readonly PredictionRow[], champion: readonly PredictionRow[]): PairedScored[] {
  const others = new Map(champion.map((row) => [row.utteranceId, row]));
  const pairs = challenger.map((row): PairedScored => {
    const other = others.get(row.utteranceId);
    if (!other) throw new RangeError(`the champion has no prediction for ${row.utteranceId}`);
    if (other.truth !== row.truth || other.speakerId !== row.speakerId || other.probabilities.length !== row.probabilities.length)
      throw new RangeError(`the two models have different truths, speakers or classes for ${row.utteranceId}`);
    return {
      speakerId: row.speakerId,
      truth: row.truth,
      challenger: mostProbable(row.probabilities),
      champion: mostProbable(other.probabilities),
    };
  });
  if (new Set(challenger.map((row) => row.utteranceId)).size !== challenger.length)
    throw new RangeError('the challenger has two predictions for an utterance');
  if (champion.length !== challenger.length) {
    const known = new Set(challenger.map((row) => row.utteranceId));
    const missing = champion.find((row) => !known.has(row.utteranceId))?.utteranceId;
    throw new RangeError(missing ? `the challenger has no prediction for ${missing}` : 'the champion has two predictions for an utterance');
  }
  return pairs;
}

/** @returns null below five speakers, where draws are too few to compare. The order of utterances does not matter */
export function uaDifference(pairs: readonly PairedScored[], classCount: number, options: BootstrapOptions = {}): UaDifference | null {
  return bootstrap(pairs, { classCount, versus: (sums) => uaOf(sums, 'championHits'), ...options });
}

/** Like {@link uaDifference}, against guessing: 1 / the number of classes that occur. */
export function uaAboveChance(
  scored: readonly (Scored & { speakerId: string })[],
  classCount: number,
  options: BootstrapOptions = {},
): UaDifference | null {
  const pairs = scored.map(({ speakerId, truth, prediction }) => ({ speakerId, truth, challenger: prediction, champion: prediction }));
  return bootstrap(pairs, { classCount, versus: ({ totals }) => 1 / totals.filter((total) => total > 0).length, ...options });
}

/** Counts by class, for one speaker or for the speakers of a draw. */
interface ClassSums {
  totals: number[];
  challengerHits: number[];
  championHits: number[];
}

interface Comparison extends BootstrapOptions {
  classCount: number;
  /** The value that the challenger's UA is compared with in the same draw. */
  versus: (sums: ClassSums) => number;
}

function bootstrap(pairs: readonly PairedScored[], { classCount, versus, draws = 2_000, seed = 1 }: Comparison): UaDifference | null {
  // Sorted, so that the same seed draws the same speakers for any order of rows.
  const speakers = [...Map.groupBy(pairs, (pair) => pair.speakerId)].sort(([a], [b]) => (a < b ? -1 : 1));
  const bySpeaker = speakers.map(([, own]) => sumsOf(own, classCount));
  if (bySpeaker.length < fewestSpeakers) return null;
  const differenceOf = (sums: ClassSums): number => uaOf(sums, 'challengerHits') - versus(sums);
  const random = seededRandom(seed);
  const values: number[] = [];
  let won = 0;
  for (let draw = 0; draw < draws; draw++) {
    const sums = emptySums(classCount);
    for (let count = 0; count < bySpeaker.length; count++) addTo(sums, bySpeaker[Math.floor(random() * bySpeaker.length)] as ClassSums);
    const value = differenceOf(sums);
    values.push(value);
    won += Math.abs(value) < equalWithin ? 0.5 : value > 0 ? 1 : 0;
  }
  values.sort((a, b) => a - b);
  return {
    difference: differenceOf(sumsOf(pairs, classCount)),
    interval: [values[Math.floor(draws * 0.025)] as number, values[Math.ceil(draws * 0.975) - 1] as number],
    probability: won / draws,
  };
}

const emptySums = (classCount: number): ClassSums => ({
  totals: new Array<number>(classCount).fill(0),
  challengerHits: new Array<number>(classCount).fill(0),
  championHits: new Array<number>(classCount).fill(0),
});

function sumsOf(pairs: readonly PairedScored[], classCount: number): ClassSums {
  const hitsOf = (model: 'challenger' | 'champion'): number[] =>
    confusionMatrix(
      pairs.map((pair) => ({ truth: pair.truth, prediction: pair[model] })),
      classCount,
    ).map((row, truth) => row[truth] as number);
  const totals = new Array<number>(classCount).fill(0);
  for (const { truth } of pairs) totals[truth] = (totals[truth] as number) + 1;
  return { totals, challengerHits: hitsOf('challenger'), championHits: hitsOf('champion') };
}

function addTo(sums: ClassSums, more: ClassSums): void {
  for (const name of ['totals', 'challengerHits', 'championHits'] as const) {
    const own = sums[name];
    for (let index = 0; index < own.length; index++) own[index] = (own[index] as number) + (more[name][index] as number);
  }
}

/** Mean recall over the classes that occur. */
function uaOf(sums: ClassSums, hits: 'challengerHits' | 'championHits'): number {
  let recalls = 0;
  let classes = 0;
  sums.totals.forEach((total, index) => {
    if (total === 0) return;
    recalls += (sums[hits][index] as number) / total;
    classes++;
  });
  return recalls / classes;
}

/** UA and recall by class of one of the two models. */
export function scoresOfModel(
  pairs: readonly PairedScored[],
  model: 'challenger' | 'champion',
  classes: readonly string[],
): { ua: number; recall: Record<string, number | null> } {
  const scored = pairs.map((pair) => ({ truth: pair.truth, prediction: pair[model] }));
  const { ua, recall } = scoresOf(confusionMatrix(scored, classes.length));
  return { ua, recall: Object.fromEntries(classes.map((name, index) => [name, recall[index] ?? null])) };
}

/** @returns the class whose recall is furthest below the champion's, in percentage points; null if no recall fell */
export function largestFall(
  challenger: Record<string, number | null>,
  champion: Record<string, number | null>,
): { class: string; points: number } | null {
  let worst: { class: string; points: number } | null = null;
  for (const [name, before] of Object.entries(champion)) {
    const points = ((before ?? 0) - (challenger[name] ?? 0)) * 100;
    if (points > (worst?.points ?? 0)) worst = { class: name, points };
  }
  return worst;
}
