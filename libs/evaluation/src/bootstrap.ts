/**
 * Computes the 95 % interval of UA or WA by bootstrap over speakers. Utterances of one speaker are not independent, so each draw
 * takes speakers with all their utterances. Below five speakers there is no interval: with two it would cover 53 %, not 95.
 */
import { confusionMatrix, scoresOf, type Scored } from './confusion.js';
import { seededRandom } from './seeded-random.js';

export interface SpeakerScored extends Scored {
  speakerId: string;
}

export const fewestSpeakers = 5;
const draws = 1_000;

/** @returns [low, high], or null below five speakers; the same for the same input */
export const uaInterval = (scored: readonly SpeakerScored[], classCount: number): [number, number] | null =>
  scoreInterval(scored, classCount, 'ua');

/** Like {@link uaInterval}, for UA or WA. */
export function scoreInterval(scored: readonly SpeakerScored[], classCount: number, measure: 'ua' | 'wa'): [number, number] | null {
  const bySpeaker = [...Map.groupBy(scored, (each) => each.speakerId).values()].map((own) => confusionMatrix(own, classCount));
  if (bySpeaker.length < fewestSpeakers) return null;
  const random = seededRandom(bySpeaker.length);
  const values: number[] = [];
  for (let draw = 0; draw < draws; draw++) {
    const drawn = Array.from(bySpeaker, () => bySpeaker[Math.floor(random() * bySpeaker.length)] as number[][]);
    values.push(scoresOf(sum(drawn))[measure]);
  }
  values.sort((a, b) => a - b);
  return [values[Math.floor(draws * 0.025)] as number, values[Math.ceil(draws * 0.975) - 1] as number];
}

function sum(matrices: number[][][]): number[][] {
  const [first = []] = matrices;
  return first.map((row, truth) =>
    row.map((_, prediction) => matrices.reduce((total, matrix) => total + (matrix[truth]?.[prediction] ?? 0), 0)),
  );
}
