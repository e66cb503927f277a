/**
 * One round of a run on a frozen view. It trains until its steps or its time run out, or until dev speakers no longer
 * improve. Then it restores the best model, writes its predictions, and saves a checkpoint that marks the round complete.
 *
 * It borrows the run's model (run-model.ts) and owns its sampler and batches: its creator disposes it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { runLeaseKey } from '#contracts/object-keys.js';
import type { PredictionsWritten } from '#contracts/predictions.js';
import type { RoundEnd } from '#contracts/training.js';
import { reestimateBatchNorm } from '#paper/batch-norm-statistics.js';
import { fitRowScale } from '#paper/input-scale.js';
import { saveModel } from '#model-files/checkpoint.js';
import { modelOptimisers, type AnyModel } from '#paper/model.js';
import { isLearningSource, reestimateSourceColumn } from '#baselines/progressive-phases.js';
import { trainStep, type StepLosses } from '#paper/train-step.js';
import { retrying } from '#streaming/retry.js';
import { BatchFeeder } from './batch-feeder.js';
import { saveCheckpoint, viewKey, type CheckpointDraft } from './checkpoint-store.js';
import { afterCheck, checkedUtterances, isStale, uaOf } from './early-stopping.js';
import { headLabels } from './head-labels.js';
import { predictHeldOut } from './held-out-predictions.js';
import { rateFactor } from './learning-rate.js';
import { verifyEpoch } from '#storage/lease.js';
import { roundPosition, type RoundPosition } from './place-in-round.js';
import { batchOf, emptyLosses, refuseDivergence, refuseHeldOut, type RunLabels, weightsOf } from './round-batch.js';
import { writeRoundPredictions } from './round-predictions.js';
import type { RunModel } from './run-model.js';
import { configHashOf, configOf, type RoundSpeed, type RunContext } from './run-settings.js';
import { Sampler } from './sampler.js';
import { heldOut, newestLearntAt, trainedTiles, type TrainingView, type ViewUtterance } from '#index/training-index.js';

/** The reason for the end of a round's steps; null if the run was told to stop. */
type TrainedSteps = { losses: StepLosses; ended: RoundEnd | null } & RoundSpeed;

export class TrainingRound {
  private readonly feeder: BatchFeeder;
  private readonly emotionWeights: Float32Array | undefined;

  private constructor(
    private readonly context: RunContext,
    private readonly learnt: RunModel,
    private readonly view: TrainingView,
    private readonly position: RoundPosition,
    private readonly labels: RunLabels,
    private readonly sampler: Sampler,
    /** Utterances of the dev speakers that pick the best checkpoint; empty if the round is not checked. */
    private readonly checked: readonly ViewUtterance[],
  ) {
    this.feeder = new BatchFeeder(sampler, context.tileStore, context.settings.batch);
    this.emotionWeights = weightsOf(sampler, this.model.settings);
  }

  private get model(): AnyModel {
    return this.learnt.model as AnyModel;
  }

  /** @param view view whose shards are all prepared */
  static async begin(context: RunContext, learnt: RunModel, view: TrainingView): Promise<TrainingRound> {
    const { settings, store, events } = context;
    const { seed, replayShare, patience, fewestDevSpeakers = null, runId, roundSteps } = settings;
    const position = roundPosition(learnt.checkpoint, view, { step: learnt.step, roundSteps });
    const model = learnt.modelFor(view);
    const labels = headLabels(model.settings, { midpoints: learnt.midpoints, speakers: learnt.speakers });
    await retrying(() => learnt.seen.begin(store, runId, { round: position.round, view }));
    const isFresh = (utterance: ViewUtterance): boolean => learnt.seen.roundOf(utterance) === position.round;
    const sampler = new Sampler(view, {
      seed,
      classOf: labels.emotion.classOf,
      balanced: model.settings.classBalance === 'sampling',
      isFresh,
      replayShare,
      state: position.sampler,
    });
    if (learnt.isUntrained) await fitInput(context, model, sampler);
    const isLabelled = (utterance: ViewUtterance): boolean => labels.emotion.classOf(utterance) >= 0;
    const pickers = { pickedBefore: learnt.pickedBy, allFrom: fewestDevSpeakers };
    const checked = patience > 0 ? checkedUtterances(heldOut(view, learnt.seen), isLabelled, pickers) : [];
    for (const { labels: own } of checked) if (own.speakerId !== undefined) learnt.pickedBy.add(own.speakerId);
    const round = new TrainingRound(context, learnt, view, position, labels, sampler, checked);
    events.roundStarted({
      round: position.round,
      step: learnt.step,
      steps: position.endStep - learnt.step,
      view,
      tiles: { labelled: sampler.sizeOf('labelled'), unlabelled: sampler.sizeOf('unlabelled') },
      freshTiles: { labelled: sampler.freshSizeOf('labelled'), unlabelled: sampler.freshSizeOf('unlabelled') },
      isFirstLearnt: isFresh,
      speakers: learnt.speakers.length,
      checkedOn: checked.length,
    });
    return round;
  }

  /** Erases utterances of the view that were erased or replaced: no later batch or score contains them. */
  erase(utteranceIds: ReadonlySet<string>): void {
    const named = this.view.utterances.filter(({ utteranceId }) => utteranceIds.has(utteranceId));
    if (named.length === 0) return;
    this.feeder.erase(utteranceIds);
    this.position.erased += named.length;
    this.context.events.erased({ step: this.learnt.step, utterances: named.length });
  }

  /** @returns false if the round was stopped before its end */
  async run(stop?: AbortSignal): Promise<boolean> {
    const { losses, ended, ...speed } = await this.train(stop);
    if (ended === null) return false;
    const { position, learnt } = this;
    await this.takeBest();
    await this.reestimateStatistics();
    const predictions = await this.writePredictions();
    await this.save({ losses, predictions, complete: true });
    const { round } = position;
    this.context.events.roundFinished({ round, step: learnt.step, losses, bestStep: learnt.weightsStep, ended, ...speed });
    return true;
  }

  /** Drops the batches that were drawn ahead. The run keeps the model. */
  dispose(): void {
    this.feeder.dispose();
  }

  private async train(stop: AbortSignal | undefined): Promise<TrainedSteps> {
    const { position, feeder, model, learnt } = this;
    const { settings, events } = this.context;
    const { reportEvery, checkpointEvery, patience, roundMaxSec } = settings;
    const startedAt = performance.now();
    let tiles = 0;
    let losses: StepLosses | null = null;
    let ended: RoundEnd | null = null;
    let reported = { at: startedAt, step: learnt.step, waitedMs: 0, tiles: 0 };
    while (ended === null && !stop?.aborted) {
      const { refs, tiles: pixels } = await feeder.next();
      if (refs.length === 0) break; // everything was erased
      refuseHeldOut(refs);
      setRate(model, learnt.rateScale * rateFactor(settings.rate, learnt.step - position.startStep, position.endStep - position.startStep));
      const wasLearningSource = isLearningSource(model);
      losses = await trainStep(model, { ...batchOf(refs, pixels, this.labels), emotionWeights: this.emotionWeights });
      refuseDivergence(losses, learnt.step);
      if (wasLearningSource && !isLearningSource(model)) await this.reestimateStatistics({ ofSource: true });
      learnt.step++;
      learnt.weightsStep = learnt.step;
      tiles += refs.length;
      if (learnt.step === position.endStep) ended = 'steps';
      else if (roundMaxSec !== null && performance.now() - startedAt >= roundMaxSec * 1000) ended = 'time';
      const isDue = learnt.step % checkpointEvery === 0 || ended !== null;
      if (isDue && this.checked.length > 0 && !wasLearningSource) await this.check();
      if (isStale(position.best, patience)) ended ??= 'dev';
      if (learnt.step % reportEvery === 0 || ended !== null) {
        const now = { at: performance.now(), step: learnt.step, waitedMs: feeder.waitedMs, tiles };
        const steps = now.step - reported.step;
        const [stepMs, waitMs] = [(now.at - reported.at) / steps, (now.waitedMs - reported.waitedMs) / steps];
        events.stepTrained({ round: position.round, step: learnt.step, losses, stepMs, waitMs, tiles: now.tiles - reported.tiles });
        reported = now;
      }
      if (ended === null && (isDue || stop?.aborted)) await this.save({ losses, predictions: [], complete: false });
      await nextTurn();
    }
    if (ended !== null) position.endStep = learnt.step;
    const wallMs = performance.now() - startedAt;
    return {
      losses: losses ?? { ...emptyLosses, ...learnt.checkpoint?.losses, total: 0 },
      ended,
      tilesPerSec: tiles / Math.max(wallMs / 1000, 1e-6),
      wallSec: wallMs / 1000,
      waitShare: feeder.waitedMs / Math.max(wallMs, 1e-3),
    };
  }

  /** Scores dev speakers with the current weights. */
  private async check(): Promise<void> {
    const { position, checked, labels, sampler, model, learnt } = this;
    const { tileStore, events } = this.context;
    await this.reestimateStatistics();
    const alive = checked.filter((utterance) => sampler.isAlive(utterance));
    const found = await predictHeldOut(model, alive, tileStore, labels);
    const emotion = found.find(({ task }) => task === labels.emotion.task);
    if (!emotion) return;
    const ua = uaOf(emotion.rows, emotion.classes.length);
    position.best = afterCheck(position.best, { step: learnt.step, ua });
    events.checked({ round: position.round, step: learnt.step, ua, bestStep: position.best.step, bestUa: position.best.ua });
  }

  /** Restores the weights of the round's best check from its checkpoint, unless they are the last ones. */
  private async takeBest(): Promise<void> {
    const { best } = this.position;
    if (best && best.step !== this.learnt.weightsStep) await this.learnt.takeWeightsOf(best.step);
  }

  /** In short rounds the running statistics lag behind the weights, which makes predictions worse. */
  private async reestimateStatistics({ ofSource = false } = {}): Promise<void> {
    const { model, sampler } = this;
    const { settings, tileStore } = this.context;
    const { batch, statisticsTiles } = settings;
    const isEmotionAlone = !ofSource && !model.system.learnsWithoutEmotion();
    const wanted = isEmotionAlone ? { ...batch, unlabelled: 0 } : batch;
    const size = wanted.labelled + wanted.unlabelled;
    const tiles = sampler.spread(statisticsTiles, wanted);
    // Takes every n-th tile, so that each batch is mixed like those of training.
    const batchCount = Math.max(1, Math.floor(tiles.length / size));
    const batches = Array.from({ length: batchCount }, (_, first) => tiles.filter((_tile, index) => index % batchCount === first));
    const read = batches.map(async (batch) => ({ tiles: await tileStore.read(batch), count: batch.length }));
    const reestimate = ofSource ? reestimateSourceColumn : reestimateBatchNorm;
    await reestimate(model, await Promise.all(read));
  }

  private writePredictions(): Promise<PredictionsWritten[]> {
    const { view, labels, sampler, model, learnt } = this;
    const { settings, store, tileStore, events } = this.context;
    return writeRoundPredictions(store, {
      runId: settings.runId,
      step: learnt.step,
      viewDigest: view.digest,
      model,
      labels,
      midpoints: learnt.midpoints,
      pickedBy: [...learnt.pickedBy].sort(),
      unheard: heldOut(view, learnt.seen).filter((utterance) => sampler.isAlive(utterance)),
      tileStore,
      onChampionRefused: events.checkpointRefused,
    });
  }

  private async save(now: { losses: StepLosses | null; predictions: PredictionsWritten[]; complete: boolean }): Promise<void> {
    const { view, position, feeder, model, learnt } = this;
    const { settings, store, epoch, events } = this.context;
    const { runId, codeVersion } = settings;
    const { manifest, bytes } = await saveModel(model);
    const draft: CheckpointDraft = {
      runId,
      round: position.round,
      step: learnt.step,
      roundStartStep: position.startStep,
      roundSteps: position.endStep - position.startStep,
      complete: now.complete,
      epoch,
      model: { ...manifest },
      best: position.best,
      weightsStep: learnt.weightsStep,
      pickedBy: learnt.pickedBy.size > 0 ? [...learnt.pickedBy].sort() : undefined,
      rateScale: learnt.rateScale === 1 ? undefined : learnt.rateScale,
      parent: position.parent,
      sampler: feeder.state,
      speakers: [...learnt.speakers],
      midpoints: learnt.midpoints,
      view: {
        digest: view.digest,
        key: viewKey(runId, view.digest),
        utterances: view.utterances.length,
        tiles: trainedTiles(view, (utterance) => this.labels.emotion.classOf(utterance) >= 0),
        newestAt: newestLearntAt(view) ?? undefined,
      },
      seen: { digest: learnt.seen.digest, versions: learnt.seen.versions, parts: [...learnt.seen.parts] },
      erasedInRound: position.erased,
      settingsHash: view.settingsHash ?? '',
      settings: view.settings,
      configHash: configHashOf(settings),
      config: configOf(settings),
      codeVersion,
      losses: now.losses,
      predictions: now.predictions,
    };
    const content = { weights: bytes, view, beforeManifest: () => verifyEpoch(store, runLeaseKey(runId), epoch) };
    // The round waits while the store is away. If it started again instead, it would learn batches twice.
    const checkpoint = await retrying(() => saveCheckpoint(store, draft, content));
    learnt.saved(checkpoint);
    events.saved(checkpoint);
  }
}

/** Measures the scale of the model's input on training tiles, once, before the model's first step. */
async function fitInput({ settings, tileStore }: RunContext, model: AnyModel, sampler: Sampler): Promise<void> {
  const refs = sampler.spread(settings.statisticsTiles, settings.batch);
  if (model.rowScale && refs.length > 0) fitRowScale(model, [{ tiles: await tileStore.read(refs), count: refs.length }]);
}

function setRate(model: AnyModel, factor: number): void {
  for (const optimiser of modelOptimisers(model)) optimiser.rateFactor = factor;
}
