/**
 * Is one model better than another in UA (paper, Section V)? Paired bootstrap over speakers: both are scored on the same
 * utterances, and in each draw on the same speakers, drawn with replacement, all utterances of one together. A class of
 * which a draw holds nothing counts for neither. The same call without a second model compares with guessing.
 *
 * Ties: a draw in which both are equally good counts as half a draw won. So two models that answer alike are better than
 * each other with probability 0.5, and no model is better than itself with more.
 */
import { fewestSpeakers } from './bootstrap.js';
import { seededRandom } from './seeded-random.js';
import { confusionMatrix, mostProbable, scoresOf, type Scored } from './confusion.js';
import type { PredictionRow } from './predictions-file.js';

/** What both models said of one utterance. */
export interface PairedScored {
  speakerId: string;
  truth: number;
  challenger: number;
  champion: number;
}

export interface UaDifference {
  /** UA of the challenger less that of the champion (or less chance). */
  difference: number;
  /** 95 % of the draws lie in it. */
  interval: [low: number, high: number];
  /** The share of draws in which the challenger is better, ties halved. */
  probability: number;
}

export interface BootstrapOptions {
  draws?: number;
  seed?: number;
}

/** Draws differ from one another by rounding where they are equal. */
const equalWithin = 1e-12;

/**
 * Joins the rows of two models by utterance.
 * @throws RangeError when they are not about the same utterances with the same truths: they cannot be compared
 */
export function pairRows(challenger: readonly PredictionRow[], champion: readonly PredictionRow[]): PairedScored[] {
  const others = new Map(champion.map((row) => [row.utteranceId, row]));
  const pairs = challenger.map((row): PairedScored => {
    const other = others.get(row.utteranceId);
    if (!other) throw new RangeError(`the champion was not asked about ${row.utteranceId}`);
    if (other.truth !== row.truth || other.speakerId !== row.speakerId || other.probabilities.length !== row.probabilities.length)
      throw new RangeError(`the two models were told different truths, speakers or classes of ${row.utteranceId}`);
    return {
      speakerId: row.speakerId,
      truth: row.truth,
      challenger: mostProbable(row.probabilities),
      champion: mostProbable(other.probabilities),
    };
  });
  if (new Set(challenger.map((row) => row.utteranceId)).size !== challenger.length)
    throw new RangeError('the challenger answered twice about an utterance');
  if (champion.length !== challenger.length) {
    const known = new Set(challenger.map((row) => row.utteranceId));
    const missing = champion.find((row) => !known.has(row.utteranceId))?.utteranceId;
    throw new RangeError(missing ? `the challenger was not asked about ${missing}` : 'the champion answered twice about an utterance');
  }
  return pairs;
}

/** @returns null below five speakers, where draws say too little. The same for the same utterances, in any order */
export function uaDifference(pairs: readonly PairedScored[], classCount: number, options: BootstrapOptions = {}): UaDifference | null {
  return bootstrap(pairs, { classCount, versus: (sums) => uaOf(sums, 'championHits'), ...options });
}

/** As {@link uaDifference}, over guessing: 1 / the number of classes that occur. */
export function uaAboveChance(
  scored: readonly (Scored & { speakerId: string })[],
  classCount: number,
  options: BootstrapOptions = {},
): UaDifference | null {
  const pairs = scored.map(({ speakerId, truth, prediction }) => ({ speakerId, truth, challenger: prediction, champion: prediction }));
  return bootstrap(pairs, { classCount, versus: ({ totals }) => 1 / totals.filter((total) => total > 0).length, ...options });
}

/** By class, of one speaker or of the speakers of a draw. */
interface ClassSums {
  totals: number[];
  challengerHits: number[];
  championHits: number[];
}

interface Comparison extends BootstrapOptions {
  classCount: number;
  /** What the challenger's UA is compared with in the same draw. */
  versus: (sums: ClassSums) => number;
}

function bootstrap(pairs: readonly PairedScored[], { classCount, versus, draws = 2_000, seed = 1 }: Comparison): UaDifference | null {
  // In one order whatever the order of rows, so that the same seed draws the same speakers.
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

/** UA and recall by class of one of the two. */
export function scoresOfModel(
  pairs: readonly PairedScored[],
  model: 'challenger' | 'champion',
  classes: readonly string[],
): { ua: number; recall: Record<string, number | null> } {
  const scored = pairs.map((pair) => ({ truth: pair.truth, prediction: pair[model] }));
  const { ua, recall } = scoresOf(confusionMatrix(scored, classes.length));
  return { ua, recall: Object.fromEntries(classes.map((name, index) => [name, recall[index] ?? null])) };
}

/** @returns the class whose recall is furthest below the champion's, in percentage points; null where none fell */
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
