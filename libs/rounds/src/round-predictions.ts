/**
 * Writes the predictions of a round's model on held-out utterances, and those of the champion on the same dev speakers.
 *
 * Delivery: the name of an object holds its digest. Writing it twice writes the same, and never overwrites announced ones.
 */
import { predictionsKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { PredictionsWritten } from '#contracts/predictions.js';
import type { HeadName } from '#paper/losses.js';
import type { AnyModel } from '#paper/model.js';
import { type PredictionRow, writePredictions } from '#evaluation/predictions-file.js';
import { sha256Hex, type Objects } from '#storage/object-store.js';
import { isOutage, retrying } from '#streaming/retry.js';
import { predictByChampion } from './champion-predictions.js';
import type { Checkpoint } from './checkpoint-store.js';
import type { HeadLabels } from './head-labels.js';
import { predictHeldOut } from './held-out-predictions.js';
import type { TileStore } from './tile-store.js';
import type { ViewUtterance } from '#index/training-index.js';

export interface RoundPredictions {
  runId: string;
  step: number;
  viewDigest: string;
  model: AnyModel;
  labels: Record<HeadName, HeadLabels>;
  midpoints: Checkpoint['midpoints'];
  /** Dev speakers that picked a checkpoint of the run. */
  pickedBy: readonly string[];
  /** Held-out utterances that the model has never trained on. */
  unheard: readonly ViewUtterance[];
  tileStore: TileStore;
  /** Called if there is a champion that cannot predict. */
  onChampionRefused: (why: string) => void;
}

/** @throws PipelineError STORAGE_UNAVAILABLE */
export async function writeRoundPredictions(store: Objects, round: RoundPredictions): Promise<PredictionsWritten[]> {
  const { runId, step, viewDigest, model, labels, unheard, tileStore } = round;
  const pickedBy = round.pickedBy.length > 0 ? { pickedBy: [...round.pickedBy] } : {};
  const facts: PredictionsWritten[] = [];
  for (const { task, classes, rows } of await predictHeldOut(model, unheard, tileStore, labels)) {
    const stored = await put(store, { runId, step, task }, { rows, classCount: classes.length });
    const champion = task === model.settings.target ? await championOn(store, round) : null;
    facts.push({ runId, step, task, ...stored, classes, viewDigest, champion, ...pickedBy, writtenAt: new Date().toISOString() });
  }
  return facts;
}

async function put(
  store: Objects,
  place: Pick<PredictionsWritten, 'runId' | 'step' | 'task'>,
  { rows, classCount }: { rows: PredictionRow[]; classCount: number },
): Promise<Pick<PredictionsWritten, 'objectKey' | 'sha256' | 'rows'>> {
  const bytes = writePredictions(rows, classCount);
  const sha256 = sha256Hex(bytes);
  const objectKey = predictionsKey({ ...place, sha256 });
  await retrying(() => store.put(objectKey, bytes));
  return { objectKey, sha256, rows: rows.length };
}

/** Predictions of the champion on the same dev utterances; null if there is none, or if it cannot predict. */
async function championOn(store: Objects, round: RoundPredictions): Promise<PredictionsWritten['champion']> {
  const { runId, step, model, labels, midpoints, unheard, tileStore, onChampionRefused } = round;
  const { target, tile } = model.settings;
  const dev = unheard.filter(({ split }) => split === 'dev');
  try {
    const asked = await retrying(() => predictByChampion(store, target, { labels, midpoints, tile, dev, tileStore }));
    if (!asked) return null;
    const { number, model: champion } = asked.champion;
    const stored = await put(store, { runId, step, task: target }, { rows: asked.rows, classCount: labels.emotion.classes.length });
    return { number, runId: champion.runId, step: champion.step, ...stored };
  } catch (error) {
    if (!(error instanceof PipelineError) || isOutage(error)) throw error;
    onChampionRefused(error.message);
    return null;
  }
}
