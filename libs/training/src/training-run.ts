/**
 * A training run: rounds of steps on frozen views, checkpoints, predictions. It computes and does I/O on the object
 * store; it knows nothing of Kafka. The trainer runs it in a process of its own, so that no step starves a heartbeat.
 *
 * Delivery: killed at any point, a run goes on from its newest checkpoint; a round that was not finished is finished if
 * its view is still the same, else another round begins. What is announced follows from what is stored.
 */
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { predictionsKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { PredictionsWritten } from '#contracts/predictions.js';
import { loadModel, saveModel } from '#model/checkpoint.js';
import { reestimateBatchNorm } from '#model/batch-norm-statistics.js';
import { growSpeakers } from '#model/grow-speakers.js';
import type { DimensionalLabel } from '#corpora/activation-valence-clusters.js';
import type { HeadName } from '#model/losses.js';
import { createModel, type Model } from '#model/model.js';
import { parseModelSettings, type ModelSettings } from '#model/settings.js';
import { trainStep, type StepLosses, type TrainingBatch } from '#model/train-step.js';
import { writePredictions } from '#scoring/predictions-file.js';
import { sha256Hex, type Objects } from '#storage/object-store.js';
import { retrying } from '#streaming/retry.js';
import { BatchFeeder } from './batch-feeder.js';
import {
  newestCheckpoints,
  readHeard,
  readWeights,
  saveCheckpoint,
  viewKey,
  type Checkpoint,
  type CheckpointDraft,
} from './checkpoint-store.js';
import { headLabels, inverseFrequencies, midpointsFor, type HeadLabels } from './head-labels.js';
import { predictHeldOut } from './held-out-predictions.js';
import { verifyEpoch } from './run-lease.js';
import { Sampler, freshSamplerState, type SamplerState, type TileRef } from './sampler.js';
import type { TileStore } from './tile-store.js';
import { heldOut, isTrained, refuseLeaks, trainedTiles, viewOf, type TrainingView, type ViewCounts } from './training-index.js';

export interface RunSettings {
  runId: string;
  /** As given; defaults are filled in by the model. */
  model: Record<string, unknown>;
  batch: { labelled: number; unlabelled: number };
  roundSteps: number;
  /** A step is reported each time this many are done, and a checkpoint saved. */
  reportEvery: number;
  checkpointEvery: number;
  /** Tiles on which batch-norm statistics are measured before predictions. */
  statisticsTiles: number;
  seed: number;
  codeVersion: string;
}

export interface RunEvents {
  roundStarted: (facts: { round: number; step: number; steps: number; view: TrainingView; tiles: ViewCounts; speakers: number }) => void;
  stepTrained: (facts: { round: number; step: number; losses: StepLosses; stepMs: number; waitMs: number }) => void;
  /** Shards that the view names but the store no longer has. */
  shardsGone: (shardIds: string[]) => void;
  saved: (checkpoint: Checkpoint) => void;
  /** A checkpoint that cannot be used; the one before it is tried. */
  checkpointRefused: (why: string) => void;
  roundFinished: (facts: { round: number; step: number; losses: StepLosses } & RoundSpeed) => void;
}

interface RoundSpeed {
  tilesPerSec: number;
  wallSec: number;
  /** Share of the time of the steps that was spent waiting for tiles. */
  waitShare: number;
}

interface PlaceInRound {
  round: number;
  /** Of the round, also where it was begun before this process. */
  startStep: number;
  endStep: number;
  sampler: SamplerState;
}

type RunLabels = Record<HeadName, HeadLabels>;

interface RoundWork {
  feeder: BatchFeeder;
  view: TrainingView;
  labels: RunLabels;
  place: PlaceInRound;
  stop: AbortSignal | undefined;
  emotionWeights: Float32Array | undefined;
}

/** The model's settings with the defaults that a run gives them: its own seed, and the tiles' shape once that is known. */
export function modelSettingsOf({ model, seed }: Pick<RunSettings, 'model' | 'seed'>, tile?: [number, number]): ModelSettings {
  return parseModelSettings({ seed, ...(tile && { tile }), ...model });
}

/** Digest of what makes two runs different; a run with other settings has another name. */
export function configHashOf(settings: Pick<RunSettings, 'model' | 'batch' | 'seed'>): string {
  const { model, batch, seed } = settings;
  return createHash('sha256')
    .update(JSON.stringify([modelSettingsOf({ model, seed }), batch, seed]))
    .digest('hex')
    .slice(0, 12);
}

export class TrainingRun {
  private model: Model | null = null;
  private checkpoint: Checkpoint | null = null;
  private speakers: string[] = [];
  private midpoints: DimensionalLabel[] | null = null;
  private readonly heard = { utteranceIds: new Set<string>(), speakerIds: new Set<string>() };
  private step = 0;

  constructor(
    private readonly settings: RunSettings,
    private readonly store: Objects,
    private readonly tileStore: TileStore,
    private readonly epoch: number,
    private readonly events: RunEvents,
  ) {}

  /** Goes on from the newest whole checkpoint, if there is one. @returns that checkpoint */
  async restore(): Promise<Checkpoint | null> {
    for await (const checkpoint of newestCheckpoints(this.store, this.settings.runId, this.events.checkpointRefused)) {
      try {
        const [weights, heard] = await Promise.all([readWeights(this.store, checkpoint), readHeard(this.store, checkpoint)]);
        this.model = loadModel(checkpoint.model, weights);
        for (const id of heard.utteranceIds) this.heard.utteranceIds.add(id);
        for (const id of heard.speakerIds) this.heard.speakerIds.add(id);
      } catch (error) {
        if (!(error instanceof PipelineError) || error.fate === 'retryable') throw error;
        this.events.checkpointRefused(error.message);
        continue;
      }
      this.checkpoint = checkpoint;
      this.speakers = [...checkpoint.speakers];
      this.midpoints = checkpoint.midpoints;
      this.step = checkpoint.step;
      return checkpoint;
    }
    return null;
  }

  /**
   * One round on a view.
   * @param stop ends the round after the step that is being trained, with a checkpoint from which it goes on
   * @returns false if there is nothing in the view to learn from, or if it was stopped
   * @throws PipelineError SPEAKER_LEAK, LEASE_LOST, STORAGE_UNAVAILABLE
   */
  async runRound(given: TrainingView, stop?: AbortSignal): Promise<boolean> {
    refuseLeaks(given);
    const view = await this.withoutGoneShards(given);
    const place = this.placeInRound(view);
    if (!view.utterances.some(isTrained)) return false;
    const model = this.modelFor(view);
    const labels = headLabels(model.settings, { midpoints: this.midpoints, speakers: this.speakers });
    const sampler = new Sampler(view, {
      seed: this.settings.seed,
      classOf: labels.emotion.classOf,
      balanced: model.settings.classBalance === 'sampling',
      state: place.sampler,
    });
    const feeder = new BatchFeeder(sampler, this.tileStore, this.settings.batch);
    this.hear(view);
    this.events.roundStarted({
      round: place.round,
      step: this.step,
      steps: place.endStep - this.step,
      view,
      tiles: { labelled: sampler.sizeOf('labelled'), unlabelled: sampler.sizeOf('unlabelled') },
      speakers: this.speakers.length,
    });
    const { losses, ...speed } = await this.train(model, {
      feeder,
      view,
      labels,
      place,
      stop,
      emotionWeights: weightsOf(sampler, model.settings),
    });
    if (this.step < place.endStep) return false;
    await this.reestimateStatistics(model, sampler);
    const predictions = await this.writePredictions(model, view, labels);
    await this.save(model, { view, place, sampler: feeder.state, losses, predictions, complete: true });
    this.events.roundFinished({ round: place.round, step: this.step, losses, ...speed });
    return true;
  }

  private async withoutGoneShards(view: TrainingView): Promise<TrainingView> {
    const gone = await retrying(() => this.tileStore.prepare(view.utterances));
    if (gone.size === 0) return view;
    this.events.shardsGone([...gone]);
    return viewOf(
      view.settingsHash,
      view.utterances.filter(({ shardId }) => !gone.has(shardId)),
    );
  }

  /** Where this round begins: at the unfinished end of the last one if its view is the same, else anew. */
  private placeInRound(view: TrainingView): PlaceInRound {
    const { roundSteps } = this.settings;
    const last = this.checkpoint;
    if (!last) return { round: 1, startStep: 0, endStep: roundSteps, sampler: freshSamplerState() };
    const isSameView = last.view.digest === view.digest;
    if (!last.complete && isSameView)
      return { round: last.round, startStep: last.roundStartStep, endStep: last.roundStartStep + last.roundSteps, sampler: last.sampler };
    // Of another view the order is another: begin a new pass over it.
    const sampler = isSameView
      ? last.sampler
      : {
          labelled: { pass: last.sampler.labelled.pass + 1, position: 0 },
          unlabelled: { pass: last.sampler.unlabelled.pass + 1, position: 0 },
        };
    return { round: last.round + 1, startStep: this.step, endStep: this.step + roundSteps, sampler };
  }

  /** Also the speakers of what was heard before its speaker was known: neither may be scored as unheard. */
  private hear(view: TrainingView): void {
    const { utteranceIds, speakerIds } = this.heard;
    for (const { utteranceId } of view.utterances.filter(isTrained)) utteranceIds.add(utteranceId);
    for (const { utteranceId, labels } of view.utterances) {
      if (labels.speakerId !== undefined && utteranceIds.has(utteranceId)) speakerIds.add(labels.speakerId);
    }
  }

  private modelFor(view: TrainingView): Model {
    const known = new Set(this.speakers);
    const trained = new Set(view.utterances.filter(isTrained).flatMap(({ labels }) => labels.speakerId ?? []));
    this.speakers.push(...[...trained].filter((speaker) => !known.has(speaker)).sort());
    if (!this.model) {
      const settings = modelSettingsOf(this.settings, this.tileStore.tileShape);
      this.midpoints = midpointsFor(view, settings);
      this.model = createModel(settings);
    }
    growSpeakers(this.model, this.speakers.length);
    return this.model;
  }

  private async train(
    model: Model,
    { feeder, view, labels, place, stop, emotionWeights }: RoundWork,
  ): Promise<{ losses: StepLosses } & RoundSpeed> {
    const startedAt = performance.now();
    const { endStep } = place;
    let tiles = 0;
    let losses: StepLosses | null = null;
    let reported = { at: startedAt, step: this.step, waitedMs: 0 };
    while (this.step < endStep) {
      const batch = { ...batchOf(await feeder.next(), labels), emotionWeights };
      losses = await trainStep(model, batch);
      refuseDivergence(losses, this.step);
      this.step++;
      tiles += batch.count;
      if (this.step % this.settings.reportEvery === 0 || this.step === endStep) {
        const now = { at: performance.now(), step: this.step, waitedMs: feeder.waitedMs };
        const steps = now.step - reported.step;
        this.events.stepTrained({
          round: place.round,
          step: this.step,
          losses,
          stepMs: (now.at - reported.at) / steps,
          waitMs: (now.waitedMs - reported.waitedMs) / steps,
        });
        reported = now;
      }
      const isDue = this.step % this.settings.checkpointEvery === 0 || stop?.aborted;
      if (isDue && this.step < endStep) {
        await this.save(model, { view, place, sampler: feeder.state, losses, predictions: [], complete: false });
      }
      if (stop?.aborted) break;
      await nextTurn();
    }
    const wallMs = performance.now() - startedAt;
    // A round that was killed after its last step has nothing left to train.
    losses ??= { ...(this.checkpoint?.losses ?? emptyLosses), total: 0 };
    return {
      losses,
      tilesPerSec: tiles / Math.max(wallMs / 1000, 1e-6),
      wallSec: wallMs / 1000,
      waitShare: feeder.waitedMs / Math.max(wallMs, 1e-3),
    };
  }

  /** Running statistics lag behind the weights in short rounds; predictions would suffer for it. */
  private async reestimateStatistics(model: Model, sampler: Sampler): Promise<void> {
    const size = this.settings.batch.labelled + this.settings.batch.unlabelled;
    const tiles = sampler.spread(this.settings.statisticsTiles);
    // Every n-th tile, so that each batch is mixed as training's are.
    const batchCount = Math.max(1, Math.floor(tiles.length / size));
    const batches = Array.from({ length: batchCount }, (_, first) => tiles.filter((_tile, index) => index % batchCount === first));
    const read = batches.map(async (batch) => ({ tiles: await this.tileStore.read(batch), count: batch.length }));
    await reestimateBatchNorm(model, await Promise.all(read));
  }

  private async writePredictions(model: Model, view: TrainingView, labels: RunLabels): Promise<PredictionsWritten[]> {
    const { runId } = this.settings;
    const unheard = heldOut(view, this.heard);
    const facts: PredictionsWritten[] = [];
    for (const { task, classes, rows } of await predictHeldOut(model, unheard, this.tileStore, labels)) {
      const bytes = writePredictions(rows, classes.length);
      const sha256 = sha256Hex(bytes);
      const objectKey = predictionsKey({ runId, step: this.step, task, sha256 });
      await retrying(() => this.store.put(objectKey, bytes));
      facts.push({
        runId,
        step: this.step,
        task,
        objectKey,
        sha256,
        rows: rows.length,
        classes,
        viewDigest: view.digest,
        writtenAt: new Date().toISOString(),
      });
    }
    return facts;
  }

  private async save(
    model: Model,
    now: {
      view: TrainingView;
      place: PlaceInRound;
      sampler: SamplerState;
      losses: StepLosses | null;
      predictions: PredictionsWritten[];
      complete: boolean;
    },
  ): Promise<void> {
    const { runId, codeVersion } = this.settings;
    const { manifest, bytes } = await saveModel(model);
    const draft: CheckpointDraft = {
      runId,
      round: now.place.round,
      step: this.step,
      roundStartStep: now.place.startStep,
      roundSteps: now.place.endStep - now.place.startStep,
      complete: now.complete,
      epoch: this.epoch,
      model: { ...manifest },
      sampler: now.sampler,
      speakers: [...this.speakers],
      midpoints: this.midpoints,
      view: {
        digest: now.view.digest,
        key: viewKey(runId, this.step),
        utterances: now.view.utterances.length,
        tiles: trainedTiles(now.view, model.settings.target),
      },
      settingsHash: now.view.settingsHash ?? '',
      configHash: configHashOf(this.settings),
      codeVersion,
      losses: now.losses,
      predictions: now.predictions,
    };
    const content = { weights: bytes, view: now.view, heard: this.heard, beforeManifest: () => verifyEpoch(this.store, runId, this.epoch) };
    // The round stands still while the store is away; begun again, it would learn batches twice.
    this.checkpoint = await retrying(() => saveCheckpoint(this.store, draft, content));
    this.events.saved(this.checkpoint);
  }
}

function batchOf({ refs, tiles }: { refs: TileRef[]; tiles: Uint8Array }, labels: RunLabels): TrainingBatch {
  const labelsOf = ({ classOf }: HeadLabels): Int32Array => Int32Array.from(refs, ({ utterance }) => classOf(utterance));
  return {
    tiles,
    count: refs.length,
    emotion: labelsOf(labels.emotion),
    gender: labelsOf(labels.gender),
    speaker: labelsOf(labels.speaker),
  };
}

function weightsOf(sampler: Sampler, { classBalance, tasks }: ModelSettings): Float32Array | undefined {
  return classBalance === 'weights' ? inverseFrequencies(sampler.tilesOfClass(tasks.emotion.length)) : undefined;
}

/** @throws PipelineError MODEL_DIVERGED: no later step would mend it */
function refuseDivergence(losses: StepLosses, step: number): void {
  const [part] = Object.entries(losses).find(([, loss]) => loss !== null && !Number.isFinite(loss)) ?? [];
  if (!part) return;
  throw new PipelineError(
    'MODEL_DIVERGED',
    `The ${part} loss is no longer a number after step ${step}. Lower learningRate in the model's settings; that begins another run.`,
  );
}

const emptyLosses = {
  reconstruction: null,
  discriminator: null,
  generator: null,
  discriminatorAccuracy: null,
  emotion: null,
  gender: null,
  speaker: null,
};
