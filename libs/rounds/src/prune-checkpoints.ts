/**
 * Deletes what a run no longer needs, so that months of rounds fit the bucket: checkpoints in the middle of finished
 * rounds, and the weights of old models. Manifests of finished rounds, lists of utterances seen, and champions stay.
 *
 * The pruner lists and reads the run's manifests once, at the first pruning. After that its caller reports each saved
 * checkpoint, so that a round costs the same however many came before.
 *
 * Delivery: a manifest is deleted before its weights, because a checkpoint without a manifest does not exist. Pruning
 * twice, or a kill during pruning, only leaves more to prune when the next trainer starts.
 */
import { checkpointPrefix } from '#contracts/object-keys.js';
import { deleteOwn } from '#storage/delete-own.js';
import type { Objects } from '#storage/object-store.js';
import { manifestKey, newestCheckpoints, type Checkpoint } from './checkpoint-store.js';

export interface Pruning {
  /** Number of the newest finished rounds whose weights stay. */
  keepModels: number;
  /** True if the weights of a model stay whatever its age. */
  isProtected: (checkpoint: Pick<Checkpoint, 'runId' | 'step'>) => boolean;
}

export class CheckpointPruner {
  /** Maps the steps of checkpoints that may have weights to true if their round is finished; null before the first listing. */
  private known: Map<number, boolean> | null = null;

  constructor(
    private readonly store: Objects,
    private readonly runId: string,
  ) {}

  saved({ step, complete }: Pick<Checkpoint, 'step' | 'complete'>): void {
    this.known?.set(step, complete);
  }

  /** @returns the number of deleted objects */
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

  /** Deletes all weights of a step: a superseded trainer may have left others beside the announced ones. */
  private async deleteWeights(step: number): Promise<number> {
    let deleted = 0;
    for await (const { key } of this.store.list(`${checkpointPrefix(this.runId, step)}weights-`)) {
      await deleteOwn(this.store, key, 'checkpoint');
      deleted++;
    }
    return deleted;
  }
}

/** Prunes a run that no trainer is training. */
export const pruneCheckpoints = (store: Objects, runId: string, pruning: Pruning): Promise<number> =>
  new CheckpointPruner(store, runId).prune(pruning);
