/**
 * The model of a run, and what the run knows beside its weights: steps, speakers, midpoints, what was seen. It lives from
 * round to round; a round trains it (training-round.ts), a checkpoint holds it.
 *
 * It owns tensors: whoever makes it disposes it.
 */
import type { DimensionalLabel } from '#corpora/activation-valence-clusters.js';
import { runLeaseKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { loadModel } from '#model-files/checkpoint.js';
import { growSpeakers } from '#paper/grow-speakers.js';
import { createModel, type Model } from '#paper/model.js';
import { isOutage, retrying } from '#streaming/retry.js';
import { findCheckpoint, manifestKey, newestCheckpoints, readWeights, type Checkpoint } from './checkpoint-store.js';
import { midpointsFor } from './head-labels.js';
import { verifyEpoch } from '#storage/lease.js';
import { modelSettingsOf, type RunContext } from './run-settings.js';
import { Seen } from './seen.js';
import { isTrained, type TrainingView } from '#index/training-index.js';

export class RunModel {
  model: Model | null = null;
  /** The newest one. */
  checkpoint: Checkpoint | null = null;
  speakers: string[] = [];
  midpoints: DimensionalLabel[] | null = null;
  seen = new Seen();
  step = 0;
  /** Whose weights the model has: of an earlier step than `step` once a round's best has been taken. */
  weightsStep = 0;
  /** Of the settings' learning rate, what is left after divergences. */
  rateScale = 1;
  /** The step that the run went back to last, with nothing saved since. */
  private wentBackTo: number | null = null;

  constructor(private readonly context: RunContext) {}

  /** Goes on from the newest whole checkpoint, if there is one. @returns that checkpoint */
  async restore(): Promise<Checkpoint | null> {
    const { settings, store, events } = this.context;
    for await (const checkpoint of newestCheckpoints(store, settings.runId, events.checkpointRefused)) {
      try {
        const [weights, seen] = await Promise.all([readWeights(store, checkpoint), Seen.read(store, checkpoint.seen.parts)]);
        this.model?.dispose();
        this.model = loadModel(checkpoint.model, weights);
        this.seen = seen;
      } catch (error) {
        if (!(error instanceof PipelineError) || isOutage(error)) throw error;
        events.checkpointRefused(error.message);
        continue;
      }
      this.checkpoint = checkpoint;
      this.speakers = [...checkpoint.speakers];
      this.midpoints = checkpoint.midpoints;
      this.step = checkpoint.step;
      this.weightsStep = checkpoint.weightsStep;
      this.rateScale = checkpoint.rateScale ?? 1;
      return checkpoint;
    }
    return null;
  }

  /** Made when the first view is known, with a place for each speaker that a view brings. */
  modelFor(view: TrainingView): Model {
    const { settings: run, tileStore } = this.context;
    const known = new Set(this.speakers);
    const trained = new Set(view.utterances.filter(isTrained).flatMap(({ labels }) => labels.speakerId ?? []));
    this.speakers.push(...[...trained].filter((speaker) => !known.has(speaker)).sort());
    if (!this.model) {
      const settings = modelSettingsOf(run, tileStore.tileShape);
      this.midpoints = midpointsFor(view, settings);
      this.model = createModel(settings);
    }
    growSpeakers(this.model, this.speakers.length);
    return this.model;
  }

  /** Takes the weights of an earlier step of the round, which a checkpoint holds. @throws PipelineError CHECKPOINT_INVALID */
  async takeWeightsOf(step: number): Promise<Model> {
    const { settings, store } = this.context;
    const checkpoint = await retrying(() => findCheckpoint(store, settings.runId, step));
    if (!checkpoint) throw new PipelineError('CHECKPOINT_INVALID', `The best checkpoint of the round, of step ${step}, is gone`);
    const weights = await retrying(() => readWeights(store, checkpoint));
    this.model?.dispose();
    this.model = loadModel(checkpoint.model, weights);
    this.weightsStep = step;
    return this.model;
  }

  /**
   * The model diverged: goes back to the newest checkpoint, whose numbers are finite, or to the beginning, and lowers the rate
   * as the settings say. An unfinished checkpoint that has diverged before is deleted: its numbers are finite, and too large.
   * @throws PipelineError LEASE_LOST, STORAGE_UNAVAILABLE
   */
  async goBack(): Promise<void> {
    const { settings, store, epoch, events } = this.context;
    const { checkpoint } = this;
    const rateScale = this.rateScale * (settings.divergedRateFactor ?? 1);
    if (checkpoint && !checkpoint.complete && this.wentBackTo === checkpoint.step) {
      await retrying(() => verifyEpoch(store, runLeaseKey(settings.runId), epoch));
      await retrying(() => store.delete(manifestKey(settings.runId, checkpoint.step)));
    }
    this.beginAnew();
    await retrying(() => this.restore());
    this.wentBackTo = this.step;
    this.rateScale = rateScale;
    events.wentBack({ step: this.step, rateScale });
  }

  /** Notes a checkpoint of this model. */
  saved(checkpoint: Checkpoint): void {
    this.checkpoint = checkpoint;
    this.wentBackTo = null;
  }

  private beginAnew(): void {
    this.dispose();
    this.checkpoint = null;
    this.speakers = [];
    this.midpoints = null;
    this.seen = new Seen();
    this.step = 0;
    this.weightsStep = 0;
  }

  /** Frees the weights and the optimisers' moments. */
  dispose(): void {
    this.model?.dispose();
    this.model = null;
  }
}
