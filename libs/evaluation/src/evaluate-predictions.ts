/**
 * Scores the predictions of one checkpoint on one task, split by split (paper, Section V).
 *
 * Delivery: a record of predictions that comes twice gives the same evaluation under the same key.
 */
import type { ModelEvaluated } from '#contracts/evaluations.js';
import { scoredSplits, type ScoredSplit } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { PredictionsWritten } from '#contracts/predictions.js';
import { uaInterval } from './bootstrap.js';
import { confusionMatrix, mostProbable, scoresOf } from './confusion.js';
import { scoresByGender, speakerSpread } from './fairness.js';
import { judgingRows } from './judging-rows.js';
import { readPredictions, type PredictionRow } from './predictions-file.js';
import { sha256Hex, type Objects } from '#storage/object-store.js';

/** A confusion matrix with more classes than this is left out, because it would not fit into a record. */
export const largestConfusion = 64;

/** @throws PipelineError OBJECT_GONE, OBJECT_CHECKSUM_MISMATCH, STORAGE_UNAVAILABLE */
export async function evaluatePredictions(fact: PredictionsWritten, store: Objects): Promise<ModelEvaluated[]> {
  const { bytes } = await store.get(fact.objectKey);
  if (sha256Hex(bytes) !== fact.sha256) {
    throw new PipelineError('OBJECT_CHECKSUM_MISMATCH', `${fact.objectKey} does not have the SHA-256 that its record announced`, {
      context: { key: fact.objectKey },
    });
  }
  return evaluateRows(fact, readPredictions(bytes));
}

type ScoredFact = Pick<PredictionsWritten, 'runId' | 'step' | 'task' | 'classes' | 'viewDigest' | 'pickedBy'>;

/** Scores predictions that are already in memory. Dev speakers that picked the model do not score it. */
export function evaluateRows(fact: ScoredFact, rows: readonly PredictionRow[]): ModelEvaluated[] {
  const judged = judgingRows(rows, fact.pickedBy);
  return scoredSplits.flatMap((split) => {
    const own = judged.filter((row) => row.split === split);
    return own.length > 0 ? [evaluate(fact, split, own)] : [];
  });
}

function evaluate(fact: ScoredFact, split: ScoredSplit, rows: PredictionRow[]): ModelEvaluated {
  const { classes } = fact;
  const scored = rows.map(({ truth, probabilities, speakerId, gender }) => ({
    truth,
    speakerId,
    gender,
    prediction: mostProbable(probabilities),
  }));
  const byGender = fact.task === 'gender' ? {} : scoresByGender(scored, classes.length);
  const spread = fact.task === 'speaker' ? null : speakerSpread(scored, classes.length);
  const scores = scoresOf(confusionMatrix(scored, classes.length));
  const knownSpeakers = scored.filter(({ speakerId }) => speakerId !== '');
  return {
    runId: fact.runId,
    step: fact.step,
    task: fact.task,
    split,
    n: scores.n,
    speakers: new Set(knownSpeakers.map(({ speakerId }) => speakerId)).size,
    wa: scores.wa,
    ua: scores.ua,
    // On withheld utterances the classes are speakers, so drawing speakers would drop classes.
    uaInterval: split === 'withheld' ? null : uaInterval(knownSpeakers, classes.length),
    recall: Object.fromEntries(classes.map((name, index) => [name, scores.recall[index] ?? null])),
    classes,
    confusion: classes.length > largestConfusion ? [] : scores.confusion,
    ...(Object.keys(byGender).length > 0 && { byGender }),
    ...(spread && { spread }),
    viewDigest: fact.viewDigest,
    evaluatedAt: new Date().toISOString(),
  };
}
