/**
 * Early stopping on dev speakers. A round is checked at each checkpoint. It ends when its emotion UA has not risen for a
 * given number of checks, and keeps the best model. Test speakers are never used. With fewer than five dev speakers the
 * round is not checked and does all its steps. An experiment may use as few as its protocol says (one, for ten folds).
 */
import { fewestSpeakers } from '#evaluation/bootstrap.js';
import { confusionMatrix, mostProbable, scoresOf } from '#evaluation/confusion.js';
import type { PredictionRow } from '#evaluation/predictions-file.js';
import type { ViewUtterance } from '#index/training-index.js';

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

/** @returns the utterances that a check scores; none if there are too few speakers */
export function checkedUtterances(
  unheard: readonly ViewUtterance[],
  carriesTarget: (utterance: ViewUtterance) => boolean,
  fewest = fewestSpeakers,
): ViewUtterance[] {
  const dev = unheard.filter((utterance) => utterance.split === 'dev' && carriesTarget(utterance));
  return new Set(dev.flatMap(({ labels }) => labels.speakerId ?? [])).size >= fewest ? dev : [];
}

/** @param rows of one task @throws RangeError if there are none */
export function uaOf(rows: readonly PredictionRow[], classCount: number): number {
  const scored = rows.map(({ truth, probabilities }) => ({ truth, prediction: mostProbable(probabilities) }));
  return scoresOf(confusionMatrix(scored, classCount)).ua;
}
