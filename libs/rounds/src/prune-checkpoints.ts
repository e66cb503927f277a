/**
 * Deletes what a run no longer needs, so that months of rounds fit the bucket: checkpoints in the middle of rounds that are
 * finished, and the weights of old models beyond those that are to be kept. Manifests of finished rounds, what was seen,
 * and champions stay.
 *
 * The run's manifests are listed and read once, at the first pruning. After that the pruner is told of each checkpoint that is saved,
 * so that a round costs the same however many there were before.
 *
 * Delivery: a manifest goes before its weights, since a checkpoint without one was never there. Pruning twice, or being
 * killed in it, leaves only more to prune the next time a trainer starts.
 */
import { checkpointPrefix } from '#contracts/object-keys.js';
import { deleteOwn } from '#storage/delete-own.js';
import type { Objects } from '#storage/object-store.js';
import { manifestKey, newestCheckpoints, type Checkpoint } from './checkpoint-store.js';

export interface Pruning {
  /** Finished rounds, from the newest on, whose weights stay. */
  keepModels: number;
  /** Whether a model's weights stay whatever its age. */
  isProtected: (checkpoint: Pick<Checkpoint, 'runId' | 'step'>) => boolean;
}

export class CheckpointPruner {
  /** Steps to whether their rounds are finished, of checkpoints that may have weights; null before they were listed. */
  private known: Map<number, boolean> | null = null;

  constructor(
    private readonly store: Objects,
    private readonly runId: string,
  ) {}

  saved({ step, complete }: Pick<Checkpoint, 'step' | 'complete'>): void {
    this.known?.set(step, complete);
  }

  /** @returns how many objects were deleted */
  async prune({ keepModels, isProtected }: Pruning): Promise<number> {
    const { store, runId } = this;
    this.known ??= await this.read();
    let finished = 0;
    let deleted = 0;
    for (const [step, complete] of [...this.known].sort(([a], [b]) => b - a)) {
      if (complete && (++finished <= keepModels || isProtected({ runId, step }))) continue;
      if (!complete && finished === 0) continue;
      if (!complete) {
        await deleteOwn(store, manifestKey(runId, step), 'checkpoint');
        deleted++;
      }
      deleted += await this.deleteWeights(step);
      this.known.delete(step);
    }
    return deleted;
  }

  private async read(): Promise<Map<number, boolean>> {
    const found = new Map<number, boolean>();
    for await (const { step, complete } of newestCheckpoints(this.store, this.runId, () => undefined)) found.set(step, complete);
    return found;
  }

  /** All of them: a superseded trainer may have left others at the same step. */
  private async deleteWeights(step: number): Promise<number> {
    let deleted = 0;
    for await (const { key } of this.store.list(`${checkpointPrefix(this.runId, step)}weights-`)) {
      await deleteOwn(this.store, key, 'checkpoint');
      deleted++;
    }
    return deleted;
  }
}

/** Of a run that nobody trains just now. */
export const pruneCheckpoints = (store: Objects, runId: string, pruning: Pruning): Promise<number> =>
  new CheckpointPruner(store, runId).prune(pruning);
