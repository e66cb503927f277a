/**
 * Early stopping on dev speakers. A round is checked at each checkpoint. It ends when its emotion UA has not risen for a
 * given number of checks, and keeps the best model. Test speakers are never used, nor the dev speakers that decide about the
 * finished model (picking-speakers.ts). With fewer than seven dev speakers the round is not checked and does all its steps. An
 * experiment judges its models on test folds, so all its dev speakers pick, and it may have as few as one.
 */
import { confusionMatrix, mostProbable, scoresOf } from '#evaluation/confusion.js';
import type { PredictionRow } from '#evaluation/predictions-file.js';
import type { ViewUtterance } from '#index/training-index.js';
import { pickingSpeakers } from './picking-speakers.js';

export interface BestCheck {
  step: number;
  ua: number;
  /** Number of later checks without an improvement. */
  since: number;
}

/** The earlier of two equal checks wins: the later model was only trained longer. */
export function afterCheck(best: BestCheck | null, check: { step: number; ua: number }): BestCheck {
  return best && check.ua <= best.ua ? { ...best, since: best.since + 1 } : { ...check, since: 0 };
}

/** @param patience number of checks without a rise after which the round ends; 0 never ends it */
export const isStale = (best: BestCheck | null, patience: number): boolean => patience > 0 && best !== null && best.since >= patience;

/**
 * @param pickedBefore speakers that picked a checkpoint in an earlier round of the run
 * @param allFrom number of dev speakers from which all of them pick; null if others must remain to decide
 * @returns the utterances that a check scores; none if there are too few speakers
 */
export function checkedUtterances(
  unheard: readonly ViewUtterance[],
  carriesTarget: (utterance: ViewUtterance) => boolean,
  { pickedBefore, allFrom }: { pickedBefore: ReadonlySet<string>; allFrom: number | null },
): ViewUtterance[] {
  const dev = unheard.filter((utterance) => utterance.split === 'dev' && carriesTarget(utterance));
  if (allFrom !== null) return new Set(dev.flatMap(({ labels }) => labels.speakerId ?? [])).size >= allFrom ? dev : [];
  const picking = pickingSpeakers(dev, pickedBefore);
  return dev.filter(({ labels }) => picking.has(labels.speakerId ?? ''));
}

/** @param rows of one task @throws RangeError if there are none */
export function uaOf(rows: readonly PredictionRow[], classCount: number): number {
  const scored = rows.map(({ truth, probabilities }) => ({ truth, prediction: mostProbable(probabilities) }));
  return scoresOf(confusionMatrix(scored, classCount)).ua;
}
