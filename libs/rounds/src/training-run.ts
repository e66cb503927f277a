/**
 * A training run: rounds of steps on frozen views, checkpoints, predictions. It computes and does I/O on the object
 * store; it knows nothing of Kafka. The trainer runs it in a process of its own, so that no step starves a heartbeat.
 *
 * A round goes on from the last one's model. Of each batch a share is what earlier rounds have learnt; it ends when its
 * steps or its time are used up, or when dev speakers say that it gets no better, and leaves its best model behind.
 *
 * Delivery: killed at any point, a run goes on from its newest checkpoint; a round that was not finished is finished if
 * its view is still the same, else another round begins. What is announced follows from what is stored. What is erased is
 * in no batch from the next one on.
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

/** It holds a model: whoever makes a run disposes it. */
export class TrainingRun {
  private readonly context: RunContext;
  private readonly learnt: RunModel;

  constructor(settings: RunSettings, store: Objects, tileStore: TileStore, epoch: number, events: RunEvents) {
    this.context = { settings, store, tileStore, epoch, events };
    this.learnt = new RunModel(this.context);
  }

  /** Goes on from the newest whole checkpoint, if there is one. @returns that checkpoint */
  restore(): Promise<Checkpoint | null> {
    return this.learnt.restore();
  }

  /**
   * One round on a view. Where the model diverges, the run goes back to its newest checkpoint before this throws.
   * @param stop ends the round after the step that is being trained, with a checkpoint from which it goes on
   * @param erasures utterances that are no longer what the view says: in no batch and no score once they are added
   * @returns false if there is nothing in the view to learn from, or if it was stopped
   * @throws PipelineError SPEAKER_LEAK, MODEL_DIVERGED, LEASE_LOST, STORAGE_UNAVAILABLE
   */
  async runRound(given: TrainingView, { stop, erasures = new RoundErasures() }: RoundOptions = {}): Promise<boolean> {
    refuseLeaks(given);
    const view = await this.withoutGoneShards(given);
    if (!view.utterances.some(isTrained)) return false;
    const round = await TrainingRound.begin(this.context, this.learnt, view);
    const unfollow = erasures.follow((utteranceIds) => round.forget(utteranceIds));
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

  /** Frees the model. The run can be restored and go on. */
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
