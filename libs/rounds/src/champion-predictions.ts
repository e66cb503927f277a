/**
 * Predicts with the champion on the dev utterances of a challenger's round. A promotion compares these predictions with the
 * challenger's. The same trainer runs both models on the same frozen view.
 *
 * A champion of another run may have heard some of these speakers before they became dev. That favours the champion, so it
 * can only keep a champion in place. The champion never predicts test speakers here.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import { loadModel } from '#model-files/checkpoint.js';
import type { HeadName } from '#paper/losses.js';
import type { PredictionRow } from '#evaluation/predictions-file.js';
import type { Objects } from '#storage/object-store.js';
import { type Champion, currentChampion } from '#evaluation/champions.js';
import { findCheckpoint, readWeights, targetOf, type Checkpoint } from './checkpoint-store.js';
import type { HeadLabels } from './head-labels.js';
import { predictHeldOut } from './held-out-predictions.js';
import type { TileStore } from './tile-store.js';
import type { ViewUtterance } from '#index/training-index.js';

interface Challenge {
  /** Labels of the challenger. */
  labels: Record<HeadName, HeadLabels>;
  midpoints: Checkpoint['midpoints'];
  tile: readonly [number, number];
  dev: readonly ViewUtterance[];
  tileStore: TileStore;
}

/**
 * @returns null if the challenger's target has no champion, or if there are no dev utterances
 * @throws PipelineError CHECKPOINT_INVALID, OBJECT_GONE if the champion cannot predict
 */
export async function predictByChampion(
  store: Objects,
  target: Champion['target'],
  { labels, midpoints, tile, dev, tileStore }: Challenge,
): Promise<{ champion: Champion; rows: PredictionRow[] } | null> {
  const champion = await currentChampion(store, target);
  if (!champion || dev.length === 0) return null;
  const checkpoint = await checkpointOf(store, champion);
  // Each run has its own clusters: with other midpoints the classes have another meaning.
  if (JSON.stringify(checkpoint.midpoints) !== JSON.stringify(midpoints))
    throw unaskable(champion, 'its clusters differ from those of the challenger');
  const model = loadModel(checkpoint.model, await readWeights(store, checkpoint));
  try {
    if (model.settings.tasks.emotion.join('\n') !== labels.emotion.classes.join('\n'))
      throw unaskable(champion, `its classes are ${model.settings.tasks.emotion.join(', ')}, not ${labels.emotion.classes.join(', ')}`);
    if (model.settings.tile.join() !== tile.join())
      throw unaskable(champion, `it takes tiles of ${model.settings.tile.join(' x ')}, not ${tile.join(' x ')}`);
    const silent = (name: HeadName, classes: readonly string[]): HeadLabels => ({ ...labels[name], classes, classOf: () => -1 });
    const asked = {
      emotion: labels.emotion,
      gender: silent('gender', labels.gender.classes),
      speaker: silent('speaker', checkpoint.speakers),
    };
    const [emotion] = await predictHeldOut(model, dev, tileStore, asked);
    return emotion ? { champion, rows: emotion.rows } : null;
  } finally {
    model.dispose();
  }
}

async function checkpointOf(store: Objects, champion: Champion): Promise<Checkpoint> {
  const { runId, step, sha256 } = champion.model;
  const checkpoint = await findCheckpoint(store, runId, step);
  if (checkpoint?.weights.sha256 !== sha256) throw unaskable(champion, 'its checkpoint is gone');
  if (targetOf(checkpoint) !== champion.target) throw unaskable(champion, `its target is ${targetOf(checkpoint)}`);
  return checkpoint;
}

const unaskable = ({ number, model }: Champion, why: string): PipelineError =>
  new PipelineError('CHECKPOINT_INVALID', `Champion ${number} (${model.runId}/${model.step}) cannot be compared with: ${why}`);
