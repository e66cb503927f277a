/**
 * The model of a run, and what the run knows beside its weights: steps, speakers, midpoints, what was seen. It lives from
 * round to round; a round trains it (training-round.ts), a checkpoint holds it.
 *
 * It owns tensors: whoever makes it disposes it.
 */
import type { DimensionalLabel } from '#corpora/activation-valence-clusters.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { loadModel } from '#model-files/checkpoint.js';
import { growSpeakers } from '#paper/grow-speakers.js';
import type { AnyModel } from '#paper/model.js';
import { createModel } from '#baselines/create-model.js';
import { retrying } from '#streaming/retry.js';
import { findCheckpoint, newestCheckpoints, readWeights, type Checkpoint } from './checkpoint-store.js';
import { midpointsFor } from './head-labels.js';
import { modelSettingsOf, type RunContext } from './run-settings.js';
import { Seen } from './seen.js';
import { isTrained, type TrainingView } from '#index/training-index.js';

export class RunModel {
  model: AnyModel | null = null;
  /** The newest one. */
  checkpoint: Checkpoint | null = null;
  speakers: string[] = [];
  midpoints: DimensionalLabel[] | null = null;
  seen = new Seen();
  step = 0;
  /** Whose weights the model has: of an earlier step than `step` once a round's best has been taken. */
  weightsStep = 0;

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
        if (!(error instanceof PipelineError) || error.fate === 'retryable') throw error;
        events.checkpointRefused(error.message);
        continue;
      }
      this.checkpoint = checkpoint;
      this.speakers = [...checkpoint.speakers];
      this.midpoints = checkpoint.midpoints;
      this.step = checkpoint.step;
      this.weightsStep = checkpoint.weightsStep;
      return checkpoint;
    }
    return null;
  }

  /** Made when the first view is known, with a place for each speaker that a view brings. */
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

  /** Takes the weights of an earlier step of the round, which a checkpoint holds. @throws PipelineError CHECKPOINT_INVALID */
  async takeWeightsOf(step: number): Promise<AnyModel> {
    const { settings, store } = this.context;
    const checkpoint = await retrying(() => findCheckpoint(store, settings.runId, step));
    if (!checkpoint) throw new PipelineError('CHECKPOINT_INVALID', `The best checkpoint of the round, of step ${step}, is gone`);
    const weights = await retrying(() => readWeights(store, checkpoint));
    this.model?.dispose();
    this.model = loadModel(checkpoint.model, weights);
    this.weightsStep = step;
    return this.model;
  }

  /** Frees the weights and the optimisers' moments. */
  dispose(): void {
    this.model?.dispose();
    this.model = null;
  }
}
