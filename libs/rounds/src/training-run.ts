/**
 * A training run: rounds of steps on frozen views, checkpoints, predictions. It computes, and reads and writes the object
 * store. It knows nothing of Kafka. The trainer runs it in a separate process, so that no step delays a heartbeat.
 *
 * A round continues from the last one's model. A share of each batch are tiles that earlier rounds have learnt. The round
 * ends when its steps or its time run out, or when dev speakers no longer improve. It keeps its best model.
 *
 * Delivery: after a kill at any point, a run continues from its newest checkpoint. It finishes an unfinished round if the
 * view is unchanged; if not, it begins another round. All announcements follow from stored objects. An erased utterance
 * is in no batch from the next one on.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Objects } from '#storage/object-store.js';
import { retrying } from '#streaming/retry.js';
import type { Checkpoint } from './checkpoint-store.js';
import { RoundErasures } from './round-erasures.js';
import { RunModel } from './run-model.js';
import type { RunContext, RunEvents, RunSettings } from './run-settings.js';
import type { TileStore } from './tile-store.js';
import { isTrained, refuseLeaks, viewOf, type TrainingView } from '#index/training-index.js';
import { TrainingRound } from './training-round.js';

export interface RoundOptions {
  stop?: AbortSignal | undefined;
  erasures?: RoundErasures;
}

/** It holds a model: its creator disposes it. */
export class TrainingRun {
  private readonly context: RunContext;
  private readonly learnt: RunModel;

  constructor(settings: RunSettings, store: Objects, tileStore: TileStore, epoch: number, events: RunEvents) {
    this.context = { settings, store, tileStore, epoch, events };
    this.learnt = new RunModel(this.context);
  }

  /** Continues from the newest whole checkpoint, if there is one. @returns that checkpoint */
  restore(): Promise<Checkpoint | null> {
    return this.learnt.restore();
  }

  /**
   * Trains one round on a view. If the model diverges, the run goes back to its newest checkpoint before this throws.
   * @param stop ends the round after the current step, with a checkpoint to continue from
   * @param erasures utterances that have changed since the view was made: once added, they are in no batch and no score
   * @returns false if the view has nothing to learn from, or if the round was stopped
   * @throws PipelineError SPEAKER_LEAK, MODEL_DIVERGED, LEASE_LOST, STORAGE_UNAVAILABLE
   */
  async runRound(given: TrainingView, { stop, erasures = new RoundErasures() }: RoundOptions = {}): Promise<boolean> {
    refuseLeaks(given);
    const view = await this.withoutGoneShards(given);
    if (!view.utterances.some(isTrained)) return false;
    const round = await TrainingRound.begin(this.context, this.learnt, view);
    const unfollow = erasures.follow((utteranceIds) => round.erase(utteranceIds));
    try {
      return await round.run(stop);
    } catch (error) {
      if (error instanceof PipelineError && error.code === 'MODEL_DIVERGED') await this.learnt.goBack();
      throw error;
    } finally {
      unfollow();
      round.dispose();
    }
  }

  /** Frees the model. The run can be restored and continue. */
  dispose(): void {
    this.learnt.dispose();
  }

  private async withoutGoneShards(view: TrainingView): Promise<TrainingView> {
    const { tileStore, events } = this.context;
    const gone = await retrying(() => tileStore.prepare(view.utterances, view.tile));
    if (gone.size === 0) return view;
    events.shardsGone([...gone]);
    return viewOf(
      view.settingsHash,
      view.utterances.filter(({ shardId }) => !gone.has(shardId)),
      view,
    );
  }
}
