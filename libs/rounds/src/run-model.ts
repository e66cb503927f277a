/**
 * The model of a run and the run's state: step, speakers, midpoints, utterances seen. It lives from round to round. A round
 * trains it (training-round.ts), and a checkpoint stores it.
 *
 * It owns tensors: its creator disposes it.
 */
import type { DimensionalLabel } from '#corpora/activation-valence-clusters.js';
import { runLeaseKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { loadModel } from '#model-files/checkpoint.js';
import { growSpeakers } from '#paper/grow-speakers.js';
import type { AnyModel } from '#paper/model.js';
import { createModel } from '#baselines/create-model.js';
import { isOutage, retrying } from '#streaming/retry.js';
import { findCheckpoint, manifestKey, newestCheckpoints, readWeights, type Checkpoint } from './checkpoint-store.js';
import { midpointsFor } from './head-labels.js';
import { deleteOwn } from '#storage/delete-own.js';
import { verifyEpoch } from '#storage/lease.js';
import { modelSettingsOf, type RunContext } from './run-settings.js';
import { Seen } from './seen.js';
import { isTrained, type TrainingView } from '#index/training-index.js';

export class RunModel {
  model: AnyModel | null = null;
  /** The newest checkpoint. */
  checkpoint: Checkpoint | null = null;
  speakers: string[] = [];
  midpoints: DimensionalLabel[] | null = null;
  seen = new Seen();
  /** Dev speakers that picked a checkpoint in some round of the run. */
  pickedBy = new Set<string>();
  step = 0;
  /** The step that the weights come from. It is earlier than `step` once the best weights of a round were restored. */
  weightsStep = 0;
  /** Factor on the settings' learning rate that remains after divergences. */
  rateScale = 1;
  /** The step that the run last went back to, if it has saved nothing since. */
  private wentBackTo: number | null = null;

  constructor(private readonly context: RunContext) {}

  /** The model has made no step yet, in this process or before it. */
  get isUntrained(): boolean {
    return this.checkpoint === null && this.step === 0;
  }

  /** Continues from the newest whole checkpoint, if there is one. @returns that checkpoint */
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
      this.pickedBy = new Set(checkpoint.pickedBy);
      this.step = checkpoint.step;
      this.weightsStep = checkpoint.weightsStep;
      this.rateScale = checkpoint.rateScale ?? 1;
      return checkpoint;
    }
    return null;
  }

  /** Creates the model when the first view is known, and adds an output to the speaker head for each new speaker. */
  modelFor(view: TrainingView): AnyModel {
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

  /** Restores the weights of an earlier step of the round from its checkpoint. @throws PipelineError CHECKPOINT_INVALID */
  async takeWeightsOf(step: number): Promise<AnyModel> {
    const { settings, store } = this.context;
    const checkpoint = await retrying(() => findCheckpoint(store, settings.runId, step));
    if (!checkpoint) throw new PipelineError('CHECKPOINT_INVALID', `The best checkpoint of the round, at step ${step}, is gone`);
    const weights = await retrying(() => readWeights(store, checkpoint));
    this.model?.dispose();
    this.model = loadModel(checkpoint.model, weights);
    this.weightsStep = step;
    return this.model;
  }

  /**
   * Goes back after a divergence: to the newest checkpoint, whose weights are finite, or to the beginning. Lowers the rate as
   * the settings say. If the run diverges again from an unfinished checkpoint, that checkpoint is deleted, because its
   * weights are finite but too large.
   * @throws PipelineError LEASE_LOST, STORAGE_UNAVAILABLE
   */
  async goBack(): Promise<void> {
    const { settings, store, epoch, events } = this.context;
    const { checkpoint } = this;
    const rateScale = this.rateScale * (settings.divergedRateFactor ?? 1);
    if (checkpoint && !checkpoint.complete && this.wentBackTo === checkpoint.step) {
      await retrying(() => verifyEpoch(store, runLeaseKey(settings.runId), epoch));
      await retrying(() => deleteOwn(store, manifestKey(settings.runId, checkpoint.step), 'checkpoint'));
    }
    this.beginAnew();
    await retrying(() => this.restore());
    this.wentBackTo = this.step;
    this.rateScale = rateScale;
    events.wentBack({ step: this.step, rateScale });
  }

  /** Notes that a checkpoint of this model was saved. */
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
    this.pickedBy = new Set();
    this.step = 0;
    this.weightsStep = 0;
  }

  /** Frees the weights and the moments of the optimisers. */
  dispose(): void {
    this.model?.dispose();
    this.model = null;
  }
}
