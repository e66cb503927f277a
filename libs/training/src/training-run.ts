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
import { setImmediate as nextTurn } from 'node:timers/promises';
import { runLeaseKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { PredictionsWritten } from '#contracts/predictions.js';
import type { RoundEnd } from '#contracts/training.js';
import { loadModel, saveModel } from '#model/checkpoint.js';
import { reestimateBatchNorm } from '#model/batch-norm-statistics.js';
import { growSpeakers } from '#model/grow-speakers.js';
import type { DimensionalLabel } from '#corpora/activation-valence-clusters.js';
import type { HeadName } from '#model/losses.js';
import { createModel, modelOptimisers, type Model } from '#model/model.js';
import type { ModelSettings } from '#model/settings.js';
import { isLearningSource } from '#model/progressive-phases.js';
import { learnsWithoutEmotion, trainStep, type StepLosses, type TrainingBatch } from '#model/train-step.js';
import type { Objects } from '#storage/object-store.js';
import { retrying } from '#streaming/retry.js';
import { BatchFeeder } from './batch-feeder.js';
import {
  findCheckpoint,
  newestCheckpoints,
  readWeights,
  saveCheckpoint,
  viewKey,
  type Checkpoint,
  type CheckpointDraft,
} from './checkpoint-store.js';
import { afterCheck, checkedUtterances, isStale, uaOf } from './early-stopping.js';
import { headLabels, inverseFrequencies, midpointsFor, type HeadLabels } from './head-labels.js';
import { predictHeldOut } from './held-out-predictions.js';
import { rateFactor } from './learning-rate.js';
import { verifyEpoch } from './lease.js';
import { placeInRound, type PlaceInRound } from './place-in-round.js';
import { configHashOf, configOf, modelSettingsOf, type RoundSpeed, type RunEvents, type RunSettings } from './run-settings.js';
import { writeRoundPredictions } from './round-predictions.js';
import { Sampler } from './sampler.js';
import { Seen } from './seen.js';
import type { TileRef } from './tile-pool.js';
import type { TileStore } from './tile-store.js';
import {
  heldOut,
  isTrained,
  newestLearntAt,
  refuseLeaks,
  trainedTiles,
  viewOf,
  type TrainingView,
  type ViewUtterance,
} from './training-index.js';

type RunLabels = Record<HeadName, HeadLabels>;

interface RoundWork {
  view: TrainingView;
  place: PlaceInRound;
  labels: RunLabels;
  sampler: Sampler;
  feeder: BatchFeeder;
  /** Of dev speakers; empty where a round is not checked. */
  checked: ViewUtterance[];
  emotionWeights: Float32Array | undefined;
}

/** How the steps of a round came to their end; null: the run was told to stop. */
type TrainedSteps = { losses: StepLosses; ended: RoundEnd | null } & RoundSpeed;

export class TrainingRun {
  private model: Model | null = null;
  private checkpoint: Checkpoint | null = null;
  private speakers: string[] = [];
  private midpoints: DimensionalLabel[] | null = null;
  private seen = new Seen();
  private round: RoundWork | null = null;
  /** Since a round was asked for; it may be reading its shards still. */
  private readonly forgotten = new Set<string>();
  private step = 0;
  /** Whose weights the model has: of an earlier step than `step` once a round's best has been taken. */
  private weightsStep = 0;

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
        const [weights, seen] = await Promise.all([readWeights(this.store, checkpoint), Seen.read(this.store, checkpoint.seen.parts)]);
        this.model = loadModel(checkpoint.model, weights);
        this.seen = seen;
      } catch (error) {
        if (!(error instanceof PipelineError) || error.fate === 'retryable') throw error;
        this.events.checkpointRefused(error.message);
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

  /**
   * One round on a view.
   * @param stop ends the round after the step that is being trained, with a checkpoint from which it goes on
   * @returns false if there is nothing in the view to learn from, or if it was stopped
   * @throws PipelineError SPEAKER_LEAK, LEASE_LOST, STORAGE_UNAVAILABLE
   */
  async runRound(given: TrainingView, stop?: AbortSignal): Promise<boolean> {
    try {
      refuseLeaks(given);
      const view = await this.withoutGoneShards(given);
      if (!view.utterances.some(isTrained)) return false;
      this.round = await this.beginRound(view);
      this.forget([...this.forgotten]);
      return await this.finishRound(this.round, await this.train(this.round, stop));
    } finally {
      this.round = null;
      this.forgotten.clear();
    }
  }

  /** Utterances that were erased, or are no longer what the round's view says: in no batch and no score from now on. */
  forget(utteranceIds: readonly string[]): void {
    for (const utteranceId of utteranceIds) this.forgotten.add(utteranceId);
    if (!this.round) return; // the next one that begins will
    const { view, feeder, place } = this.round;
    const ids = new Set(utteranceIds);
    const named = view.utterances.filter(({ utteranceId }) => ids.has(utteranceId));
    if (named.length === 0) return;
    feeder.forget(ids);
    place.erased += named.length;
    this.events.erased({ step: this.step, utterances: named.length });
  }

  private async withoutGoneShards(view: TrainingView): Promise<TrainingView> {
    const gone = await retrying(() => this.tileStore.prepare(view.utterances, view.tile));
    if (gone.size === 0) return view;
    this.events.shardsGone([...gone]);
    return viewOf(
      view.settingsHash,
      view.utterances.filter(({ shardId }) => !gone.has(shardId)),
      view,
    );
  }

  private async beginRound(view: TrainingView): Promise<RoundWork> {
    const { seed, replayShare, batch, patience, fewestDevSpeakers, runId, roundSteps } = this.settings;
    const place = placeInRound(this.checkpoint, view, { step: this.step, roundSteps });
    const model = this.modelFor(view);
    const labels = headLabels(model.settings, { midpoints: this.midpoints, speakers: this.speakers });
    await retrying(() => this.seen.begin(this.store, runId, { round: place.round, view }));
    const isFresh = (utterance: ViewUtterance): boolean => this.seen.roundOf(utterance) === place.round;
    const sampler = new Sampler(view, {
      seed,
      classOf: labels.emotion.classOf,
      balanced: model.settings.classBalance === 'sampling',
      isFresh,
      replayShare,
      state: place.sampler,
    });
    const feeder = new BatchFeeder(sampler, this.tileStore, batch);
    const isLabelled = (utterance: ViewUtterance): boolean => labels.emotion.classOf(utterance) >= 0;
    const checked = patience > 0 ? checkedUtterances(heldOut(view, this.seen), isLabelled, fewestDevSpeakers) : [];
    this.events.roundStarted({
      round: place.round,
      step: this.step,
      steps: place.endStep - this.step,
      view,
      tiles: { labelled: sampler.sizeOf('labelled'), unlabelled: sampler.sizeOf('unlabelled') },
      freshTiles: { labelled: sampler.freshSizeOf('labelled'), unlabelled: sampler.freshSizeOf('unlabelled') },
      isFirstLearnt: isFresh,
      speakers: this.speakers.length,
      checkedOn: checked.length,
    });
    return { view, place, labels, sampler, feeder, checked, emotionWeights: weightsOf(sampler, model.settings) };
  }

  /** @returns false if the round was stopped on its way */
  private async finishRound(round: RoundWork, { losses, ended, ...speed }: TrainedSteps): Promise<boolean> {
    const { place, sampler } = round;
    if (ended === null) return false;
    await this.takeBest(place);
    const model = this.model as Model;
    await this.reestimateStatistics(model, sampler);
    const predictions = await this.writePredictions(model, round);
    await this.save(model, round, { losses, predictions, complete: true });
    this.events.roundFinished({ round: place.round, step: this.step, losses, bestStep: this.weightsStep, ended, ...speed });
    return true;
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

  private async train(round: RoundWork, stop: AbortSignal | undefined): Promise<TrainedSteps> {
    const { place, feeder } = round;
    const model = this.model as Model;
    const { reportEvery, checkpointEvery, patience, roundMaxSec } = this.settings;
    const startedAt = performance.now();
    let tiles = 0;
    let losses: StepLosses | null = null;
    let ended: RoundEnd | null = null;
    let reported = { at: startedAt, step: this.step, waitedMs: 0, tiles: 0 };
    while (ended === null && !stop?.aborted) {
      const { refs, tiles: pixels } = await feeder.next();
      if (refs.length === 0) break; // all of it was erased
      refuseHeldOut(refs);
      setRate(model, rateFactor(this.settings.rate, this.step - place.startStep, place.endStep - place.startStep));
      const wasLearningSource = isLearningSource(model);
      losses = await trainStep(model, { ...batchOf(refs, pixels, round.labels), emotionWeights: round.emotionWeights });
      refuseDivergence(losses, this.step);
      if (wasLearningSource && !isLearningSource(model)) await this.reestimateStatistics(model, round.sampler, { ofSource: true });
      this.step++;
      this.weightsStep = this.step;
      tiles += refs.length;
      if (this.step === place.endStep) ended = 'steps';
      else if (roundMaxSec !== null && performance.now() - startedAt >= roundMaxSec * 1000) ended = 'time';
      const isDue = this.step % checkpointEvery === 0 || ended !== null;
      if (isDue && round.checked.length > 0 && !wasLearningSource) await this.check(model, round);
      if (isStale(place.best, patience)) ended ??= 'dev';
      if (this.step % reportEvery === 0 || ended !== null) {
        const now = { at: performance.now(), step: this.step, waitedMs: feeder.waitedMs, tiles };
        const steps = now.step - reported.step;
        const [stepMs, waitMs] = [(now.at - reported.at) / steps, (now.waitedMs - reported.waitedMs) / steps];
        this.events.stepTrained({ round: place.round, step: this.step, losses, stepMs, waitMs, tiles: now.tiles - reported.tiles });
        reported = now;
      }
      if (ended === null && (isDue || stop?.aborted)) await this.save(model, round, { losses, predictions: [], complete: false });
      await nextTurn();
    }
    if (ended !== null) place.endStep = this.step;
    const wallMs = performance.now() - startedAt;
    return {
      losses: losses ?? { ...emptyLosses, ...this.checkpoint?.losses, total: 0 },
      ended,
      tilesPerSec: tiles / Math.max(wallMs / 1000, 1e-6),
      wallSec: wallMs / 1000,
      waitShare: feeder.waitedMs / Math.max(wallMs, 1e-3),
    };
  }

  /** How well dev speakers are understood now. */
  private async check(model: Model, { place, checked, labels, sampler }: RoundWork): Promise<void> {
    await this.reestimateStatistics(model, sampler);
    const alive = checked.filter((utterance) => sampler.isAlive(utterance));
    const found = await predictHeldOut(model, alive, this.tileStore, labels);
    const emotion = found.find(({ task }) => task === labels.emotion.task);
    if (!emotion) return;
    const ua = uaOf(emotion.rows, emotion.classes.length);
    place.best = afterCheck(place.best, { step: this.step, ua });
    this.events.checked({ round: place.round, step: this.step, ua, bestStep: place.best.step, bestUa: place.best.ua });
  }

  /** The weights of the round's best check, which a checkpoint holds unless they are the last. */
  private async takeBest({ best }: PlaceInRound): Promise<void> {
    if (!best || best.step === this.weightsStep) return;
    const checkpoint = await retrying(() => findCheckpoint(this.store, this.settings.runId, best.step));
    if (!checkpoint) throw new PipelineError('CHECKPOINT_INVALID', `The best checkpoint of the round, of step ${best.step}, is gone`);
    const weights = await retrying(() => readWeights(this.store, checkpoint));
    this.model?.dispose();
    this.model = loadModel(checkpoint.model, weights);
    this.weightsStep = best.step;
  }

  /** Running statistics lag behind the weights in short rounds; predictions would suffer for it. */
  private async reestimateStatistics(model: Model, sampler: Sampler, { ofSource = false } = {}): Promise<void> {
    const { batch, statisticsTiles } = this.settings;
    const isEmotionAlone = !ofSource && !learnsWithoutEmotion(model);
    const wanted = isEmotionAlone ? { ...batch, unlabelled: 0 } : batch;
    const size = wanted.labelled + wanted.unlabelled;
    const tiles = sampler.spread(statisticsTiles, wanted);
    // Every n-th tile, so that each batch is mixed as training's are.
    const batchCount = Math.max(1, Math.floor(tiles.length / size));
    const batches = Array.from({ length: batchCount }, (_, first) => tiles.filter((_tile, index) => index % batchCount === first));
    const read = batches.map(async (batch) => ({ tiles: await this.tileStore.read(batch), count: batch.length }));
    await reestimateBatchNorm(model, await Promise.all(read), { ofSource });
  }

  private async writePredictions(model: Model, { view, labels, sampler }: RoundWork): Promise<PredictionsWritten[]> {
    return writeRoundPredictions(this.store, {
      runId: this.settings.runId,
      step: this.step,
      viewDigest: view.digest,
      model,
      labels,
      midpoints: this.midpoints,
      unheard: heldOut(view, this.seen).filter((utterance) => sampler.isAlive(utterance)),
      tileStore: this.tileStore,
      onChampionRefused: this.events.checkpointRefused,
    });
  }

  private async save(
    model: Model,
    { view, place, feeder }: RoundWork,
    now: { losses: StepLosses | null; predictions: PredictionsWritten[]; complete: boolean },
  ): Promise<void> {
    const { runId, codeVersion } = this.settings;
    const { manifest, bytes } = await saveModel(model);
    const draft: CheckpointDraft = {
      runId,
      round: place.round,
      step: this.step,
      roundStartStep: place.startStep,
      roundSteps: place.endStep - place.startStep,
      complete: now.complete,
      epoch: this.epoch,
      model: { ...manifest },
      best: place.best,
      weightsStep: this.weightsStep,
      parent: place.parent,
      sampler: feeder.state,
      speakers: [...this.speakers],
      midpoints: this.midpoints,
      view: {
        digest: view.digest,
        key: viewKey(runId, view.digest),
        utterances: view.utterances.length,
        tiles: trainedTiles(view, model.settings.target),
        newestAt: newestLearntAt(view) ?? undefined,
      },
      seen: { digest: this.seen.digest, versions: this.seen.versions, parts: [...this.seen.parts] },
      erasedInRound: place.erased,
      settingsHash: view.settingsHash ?? '',
      configHash: configHashOf(this.settings),
      config: configOf(this.settings),
      codeVersion,
      losses: now.losses,
      predictions: now.predictions,
    };
    const content = { weights: bytes, view, beforeManifest: () => verifyEpoch(this.store, runLeaseKey(runId), this.epoch) };
    // The round stands still while the store is away; begun again, it would learn batches twice.
    this.checkpoint = await retrying(() => saveCheckpoint(this.store, draft, content));
    this.events.saved(this.checkpoint);
  }
}

function setRate(model: Model, factor: number): void {
  for (const optimiser of modelOptimisers(model)) optimiser.rateFactor = factor;
}

/** An unknown error, so that the process ends: whatever drew this has been drawing wrongly. */
function refuseHeldOut(refs: readonly TileRef[]): void {
  const leaked = refs.find(({ utterance }) => !isTrained(utterance));
  if (leaked) throw new Error(`${leaked.utterance.utteranceId} is held out (${leaked.utterance.split}), and came up to be learnt`);
}

function batchOf(refs: readonly TileRef[], tiles: Uint8Array, labels: RunLabels): TrainingBatch {
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
