/**
 * Early stopping on dev speakers: a round is checked at each checkpoint, and ends when its emotion UA has not risen for
 * so many checks; what it leaves behind is the best of them. Test speakers are never looked at. Below five dev speakers
 * there is nothing to go by, and a round has all its steps; an experiment goes by as few as its protocol says (one, of ten folds).
 */
import { fewestSpeakers } from '#evaluation/bootstrap.js';
import { confusionMatrix, mostProbable, scoresOf } from '#evaluation/confusion.js';
import type { PredictionRow } from '#evaluation/predictions-file.js';
import type { ViewUtterance } from '#index/training-index.js';

export interface BestCheck {
  step: number;
  ua: number;
  /** Checks after it that were no better. */
  since: number;
}

/** Of equals the earlier stays: what is not better has only been trained longer. */
export function afterCheck(best: BestCheck | null, check: { step: number; ua: number }): BestCheck {
  return best && check.ua <= best.ua ? { ...best, since: best.since + 1 } : { ...check, since: 0 };
}

/** @param patience checks without a rise that are borne; 0: the round is never ended */
export const isStale = (best: BestCheck | null, patience: number): boolean => patience > 0 && best !== null && best.since >= patience;

/** @returns what a check looks at; nothing where there are too few speakers */
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
