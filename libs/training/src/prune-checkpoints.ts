/**
 * Deletes what a run no longer needs, so that months of rounds fit the bucket: checkpoints in the middle of rounds that are
 * finished, and the weights of old models beyond those that are to be kept. Manifests of finished rounds, what was seen,
 * and champions stay.
 *
 * Delivery: a manifest goes before its weights, since a checkpoint without one was never there. Pruning twice, or being
 * killed in it, leaves only more to prune the next time.
 */
import { checkpointPrefix } from '#contracts/object-keys.js';
import { deleteOwn } from '#storage/delete-own.js';
import type { Objects } from '#storage/object-store.js';
import { manifestKey, newestCheckpoints, type Checkpoint } from './checkpoint-store.js';

/**
 * @param keepModels finished rounds, from the newest on, whose weights stay
 * @param isProtected whether a model's weights stay whatever its age
 * @returns how many objects were deleted
 */
export async function pruneCheckpoints(
  store: Objects,
  runId: string,
  { keepModels, isProtected }: { keepModels: number; isProtected: (checkpoint: Checkpoint) => boolean },
): Promise<number> {
  let finished = 0;
  let deleted = 0;
  for await (const checkpoint of newestCheckpoints(store, runId, () => undefined)) {
    if (checkpoint.complete) {
      finished++;
      if (finished > keepModels && !isProtected(checkpoint)) deleted += await deleteWeights(store, checkpoint);
    } else if (finished > 0) {
      await deleteOwn(store, manifestKey(runId, checkpoint.step), 'checkpoint');
      deleted += 1 + (await deleteWeights(store, checkpoint));
    }
  }
  return deleted;
}

/** All of them: a superseded trainer may have left others at the same step. */
async function deleteWeights(store: Objects, { runId, step }: Checkpoint): Promise<number> {
  let deleted = 0;
  for await (const { key } of store.list(`${checkpointPrefix(runId, step)}weights-`)) {
    await deleteOwn(store, key, 'checkpoint');
    deleted++;
  }
  return deleted;
}
