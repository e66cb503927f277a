/**
 * The trainer's edge: shards and utterances into the index, rounds out of it, and what they made onto Kafka.
 *
 * Delivery: the index is made at start from utterances, both shard topics and dead letters, from their first record, or from a
 * snapshot and what came after it (index-snapshot.ts). What is announced follows from what is stored: after a start the newest
 * checkpoint and its predictions are announced again, so that a crash between storing and announcing loses nothing; repeats
 * have the same keys and the same contents.
 */
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ModelSettings, parseModelSettings } from '#model/settings.js';
import { checkpoints } from '#contracts/checkpoints.js';
import { deadLetters } from '#contracts/dead-letters.js';
import { featureSettingsChosen } from '#contracts/feature-settings.js';
import { hintAt, objectHints } from '#contracts/object-hints.js';
import { corporaPrefix } from '#contracts/object-keys.js';
import { PipelineError, type ErrorCode } from '#contracts/pipeline-error.js';
import { predictions } from '#contracts/predictions.js';
import { shardsLabelled, shardsUnlabelled, shardTopicOf, type ShardSealed } from '#contracts/shards.js';
import { topics } from '#contracts/topics.js';
import { training } from '#contracts/training.js';
import { utterances } from '#contracts/utterances.js';
import { Liveness } from '#service/liveness.js';
import type { Logger } from '#service/logger.js';
import { Metrics } from '#service/metrics.js';
import { LOGGER } from '#service/observability.module.js';
import { Readiness } from '#service/readiness.js';
import { crashProcess } from '#service/crash-process.js';
import type { SpanContext } from '#service/spans.js';
import { ObjectStore } from '#storage/object-store.js';
import { atMost } from '#streaming/at-most.js';
import { passedOverMetrics } from '#streaming/consumer-metrics.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { retrying } from '#streaming/retry.js';
import { StallWatch } from '#streaming/stall-watch.js';
import { TableFollower, type FollowedRecord } from '#streaming/table-follower.js';
import { utteranceTraceparents } from '#streaming/trace-headers.js';
import { manifestKey, type Checkpoint } from '#training/checkpoint-store.js';
import { IndexSnapshots } from '#training/index-snapshot.js';
import type { TrainerStatus } from '#training/trainer-status.js';
import { labelFindings, LossWatch } from '#training/diagnose-training.js';
import { RoundView } from '#training/round-view.js';
import { TrainingIndex, type TrainingView } from '#training/training-index.js';
import type { ComputeClient, RoundEvent } from './compute-client.js';
import type { TrainerConfig } from './config.js';
import { OpenRun, runFor } from './open-run.js';
import { RoundSchedule } from './round-schedule.js';
import { RoundTrace } from './round-trace.js';
import { TrainerMetrics } from './trainer-metrics.js';

export const TRAINER_CONFIG = Symbol('trainer config');

const scheduleIntervalMs = 500;
/** For the snapshot at the end. */
const lastSnapshotMs = 6_000;
const lastWordsMs = 2_000;
/** Errors that another try on the same view would only repeat. All others end the process, and its supervisor tries again. */
const ofTheView = new Set<ErrorCode>(['SPEAKER_LEAK', 'MODEL_DIVERGED', 'CHECKPOINT_INVALID', 'SETTINGS_INVALID', 'RECORD_INVALID']);

@Injectable()
export class TrainerStage implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly kafka;
  private readonly store: ObjectStore;
  private readonly publisher: Publisher;
  private readonly stallWatch: StallWatch;
  private readonly follower: TableFollower;
  private index = new TrainingIndex();
  private readonly snapshots: IndexSnapshots;
  private snapshotTimer: NodeJS.Timeout | undefined;
  private readonly modelSettings: ModelSettings;
  private watch: LossWatch | undefined;
  /** Of the labels of the round's view. */
  private labelFindings: string[] = [];
  private schedule: RoundSchedule;
  private readonly metrics: TrainerMetrics;
  private open: OpenRun | undefined;
  private runId: string;
  /** While a round runs. */
  private roundView: RoundView | undefined;
  private roundTrace: RoundTrace | undefined;
  private backend: string | null = null;
  private stopping = false;
  private announcing: Promise<void> = Promise.resolve();
  private state: Pick<TrainerStatus, 'state' | 'because'> = { state: 'starting', because: 'reading the topics' };

  constructor(
    @Inject(TRAINER_CONFIG) private readonly config: TrainerConfig,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(Metrics) metrics: Metrics,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Liveness) liveness: Liveness,
  ) {
    const { kafka, store } = config;
    this.kafka = kafkaClient(kafka, 'undertone-trainer', logger);
    this.metrics = new TrainerMetrics(metrics, ofTheView);
    this.store = new ObjectStore(store, { onCall: this.metrics.storeCalled });
    this.publisher = new Publisher(this.kafka, kafka.topicPrefix);
    this.runId = config.run.runId;
    this.schedule = new RoundSchedule(config.rounds);
    this.snapshots = new IndexSnapshots({
      store: this.store,
      kafka: this.kafka,
      topicPrefix: kafka.topicPrefix,
      topics: [utterances, shardsLabelled, shardsUnlabelled, deadLetters],
      logger,
    });
    this.modelSettings = parseModelSettings(config.run.model);
    this.follower = new TableFollower(this.kafka, kafka.topicPrefix, 'trainer-index', logger)
      .on(utterances, (id, fact) => {
        this.index.applyUtterance(id, fact);
        if (this.roundView?.differs(id, fact?.version)) this.open?.compute.erase([id]);
      })
      .on(shardsLabelled, (id, fact, record) => this.applyShard(id, fact, record))
      .on(shardsUnlabelled, (id, fact, record) => this.applyShard(id, fact, record))
      .on(deadLetters, (_key, fact) => fact && this.index.applyDeadLetter(fact))
      .on(featureSettingsChosen, (_key, fact) => this.index.applySettings(fact))
      .onPassedOver(passedOverMetrics(metrics));
    this.stallWatch = new StallWatch({
      kafka: this.kafka,
      consumers: [this.follower],
      metrics,
      logger,
    });
    liveness.watch('consumers', () => this.stallWatch.whyStalled());
  }

  onApplicationBootstrap(): void {
    this.readiness.startInBackground(() => this.start());
  }

  async onApplicationShutdown(): Promise<void> {
    this.readiness.stopping();
    this.stopping = true;
    this.open?.stop();
    clearInterval(this.snapshotTimer);
    // A broker or a store that is away must not keep the process from ending in time.
    await atMost(lastWordsMs, this.announcing);
    if (this.follower.completeAtMs > 0) await atMost(lastSnapshotMs, this.writeSnapshot());
    await this.follower.stop();
    await this.stallWatch.stop();
    await this.publisher.close();
    this.store.close();
  }

  private async start(): Promise<void> {
    await retrying(() => this.store.ensureBucket());
    await ensureTopics(this.kafka, topics, this.config.kafka.topicPrefix);
    this.stallWatch.start();
    await this.publisher.connect();
    const restored = await retrying(() => this.snapshots.restore());
    if (restored) this.index = restored.index;
    await this.follower.start(restored?.positions);
    this.index.caughtUp();
    this.snapshotTimer = setInterval(() => void this.takeSnapshot(), this.config.snapshotIntervalMs);
    this.run().catch((error: unknown) => {
      if (!this.stopping) crashProcess(error);
    });
  }

  private applyShard(shardId: string, fact: ShardSealed | null, { headers }: FollowedRecord): void {
    this.index.applyShard(shardId, fact);
    if (fact) this.index.traces.note(fact.utterances, utteranceTraceparents(headers));
  }

  private async takeSnapshot(): Promise<void> {
    // How old a snapshot is counts from when everything had been read.
    await this.follower.sync().catch(() => undefined);
    if (!this.stopping) await this.writeSnapshot();
  }

  /** It only saves time: that it cannot be written is no reason to stop. */
  private async writeSnapshot(): Promise<void> {
    await this.snapshots.write(this.index, this.follower).catch((error: unknown) => {
      this.logger.warn({ err: error }, 'the index could not be written; the next start may take longer');
    });
  }

  status(): TrainerStatus {
    return {
      runId: this.runId,
      ...this.state,
      backend: this.backend,
      tiles: this.index.counts(this.modelSettings.target),
      viewDigest: this.index.digest,
      viewUtterances: this.index.size,
      settings: this.index.choice.settings,
      findings: this.findings,
    };
  }

  /** What is wrong with the round, in words. */
  private get findings(): string[] {
    return [...this.labelFindings, ...(this.watch?.complaints ?? [])];
  }

  /** One run after another: a view of another tile geometry takes another network. */
  private async run(): Promise<void> {
    while (!this.stopping) {
      const run = runFor(this.config, this.index.tile);
      this.runId = run.runId;
      this.schedule = new RoundSchedule(this.config.rounds);
      this.open = await OpenRun.open(run, this.config, this.store, {
        onRoundEvent: (event) => this.onRoundEvent(event),
        onWait: (holder) => this.enter('waiting', `${holder} holds run ${run.runId}`),
      });
      if (this.stopping) return this.open.stop();
      await this.trainOn(this.open);
    }
  }

  /** Until the view's tiles are another run's. */
  private async trainOn(open: OpenRun): Promise<void> {
    const { backend, why, restored } = open.ready;
    const { runId } = open.run;
    this.backend = backend;
    this.logger.info({ runId, backend, why, step: restored?.step ?? 0 }, 'ready to train');
    if (restored?.complete) {
      this.schedule.trained(restored.view.digest, { nowMs: Date.parse(restored.savedAt) });
      await this.announceAgain(restored);
    }
    while (!this.stopping) {
      const next = runFor(this.config, this.index.tile).runId;
      if (next !== runId) {
        this.logger.info({ runId: next, before: runId, tile: this.index.tile }, 'tiles have another geometry: another run begins');
        return open.close();
      }
      await this.roundWhenDue(open);
      await sleep(scheduleIntervalMs);
    }
  }

  private async roundWhenDue({ compute, lease }: OpenRun): Promise<void> {
    const tiles = this.index.counts(this.modelSettings.target);
    const decision = this.schedule.decide(
      {
        revision: this.index.revision,
        digest: this.index.digest,
        trainable: tiles.labelled + tiles.unlabelled,
        changes: this.index.changes,
      },
      Date.now(),
    );
    this.metrics.waiting(tiles, this.schedule.news);
    if (!decision.start) return this.enter('waiting', decision.because);
    this.enter('training', describe(tiles));
    const view = this.index.view();
    this.roundView = new RoundView(view); // from here on, what is erased is told to the round
    this.labelFindings = labelFindings(view, this.modelSettings);
    for (const finding of this.labelFindings) this.logger.warn(finding);
    this.metrics.found(this.findings);
    // What this round may read stays in the store, though it may be withdrawn from now on (libs/training/src/sweep-objects.ts).
    await retrying(() => lease.note({ roundStartedAt: new Date() }));
    this.roundTrace = new RoundTrace(this.index.traces, this.roundView, this.runId);
    await this.train(compute, view, this.roundTrace);
    this.roundView = undefined;
    this.roundTrace = undefined;
    await retrying(() => lease.note({ roundStartedAt: null }));
    await this.announcing;
  }

  /** What cannot succeed on this view is said, and waited out: another view, or other settings, will come. */
  private async train(compute: ComputeClient, view: TrainingView, trace: RoundTrace): Promise<void> {
    try {
      await compute.runRound(view, trace.utteranceIds);
      trace.end();
    } catch (error) {
      trace.end(error);
      if (!(error instanceof PipelineError) || !ofTheView.has(error.code)) throw error;
      this.logger.error({ code: error.code }, error.message);
      this.schedule.trained(view.digest, { nowMs: Date.now(), refused: `${error.code}: ${error.message}` });
      this.metrics.refused(error.code);
    }
  }

  private onRoundEvent(event: RoundEvent): void {
    const { runId } = this;
    const at = new Date().toISOString();
    this.metrics.observe(event);
    switch (event.type) {
      case 'storeCalled':
      case 'retried':
        return;
      case 'roundStarted':
        this.logger.info(
          {
            round: event.round,
            step: event.step,
            steps: event.steps,
            tiles: event.tiles,
            freshTiles: event.freshTiles,
            speakers: event.speakers,
            checkedOn: event.checkedOn,
          },
          'round started',
        );
        this.roundTrace?.started(event);
        this.watch = LossWatch.of(this.modelSettings, event.speakers);
        return this.later(() => this.publisher.publish(training, { ...event, type: 'RoundStarted', runId, at }));
      case 'stepTrained': {
        for (const finding of this.watch?.observe(event.losses) ?? []) this.logger.warn({ step: event.step }, finding);
        const { findings } = this;
        this.metrics.found(findings);
        return this.later(() => this.publisher.publish(training, { ...event, type: 'StepTrained', runId, at, findings }));
      }
      case 'checked':
        this.logger.info({ step: event.step, ua: event.ua, bestStep: event.bestStep, bestUa: event.bestUa }, 'checked on dev speakers');
        return this.later(() => this.publisher.publish(training, { ...event, type: 'DevChecked', runId, at }));
      case 'erased':
        return this.logger.info(
          { step: event.step, utterances: event.utterances },
          'erased from the round: in no batch from the next one on',
        );
      case 'roundFinished':
        this.roundTrace?.finished(event);
        this.logger.info(
          {
            round: event.round,
            step: event.step,
            wallSec: event.wallSec,
            tilesPerSec: event.tilesPerSec,
            waitShare: event.waitShare,
            ended: event.ended,
            bestStep: event.bestStep,
            losses: event.losses,
          },
          'round finished',
        );
        return this.later(() =>
          this.publisher.publish(training, { ...event, type: 'RoundFinished', runId, backend: this.backend ?? '', at }),
        );
      case 'saved':
        if (!event.checkpoint.complete) return;
        // Its view may lack what the store had lost; then there is something to train on once that is made again.
        this.schedule.trained(event.checkpoint.view.digest, { nowMs: Date.now() });
        return this.announceModel(event.checkpoint);
      case 'checkpointRefused':
        return this.logger.error({ code: 'CHECKPOINT_INVALID' }, event.why);
      case 'shardsGone':
        return this.later(() => this.askForShards(new Set(event.shardIds)));
    }
  }

  /** The store no longer has these shards: they are withdrawn, and their recordings looked at and made into tiles again. */
  private async askForShards(shardIds: ReadonlySet<string>): Promise<void> {
    this.logger.warn({ shardIds: [...shardIds] }, 'shards are gone from the store; they are made again');
    const lost = [...shardIds].flatMap((shardId) => this.index.readFrom(shardId) ?? []);
    for (const { shardId, stream } of lost) await this.publisher.tombstone(shardTopicOf(stream), shardId);
    const objectKeys = lost.flatMap(({ utteranceIds }) => utteranceIds.map((id) => corporaPrefix + id));
    await this.publisher.publishApart(
      objectHints,
      objectKeys.map((key) => hintAt(key, 'changed-underfoot', true)),
    );
  }

  /** Without predictions that are gone: they named somebody who was erased, and were scored (libs/training/src/sweep-objects.ts). */
  private async announceAgain(checkpoint: Checkpoint): Promise<void> {
    const heads = await retrying(() => Promise.all(checkpoint.predictions.map(({ objectKey }) => this.store.head(objectKey))));
    await this.announce({ ...checkpoint, predictions: checkpoint.predictions.filter((_, index) => heads[index]) });
  }

  /** In the round's trace; those of the utterances that it learnt first go on with the predictions. */
  private announceModel(checkpoint: Checkpoint): void {
    const { roundTrace } = this;
    const utteranceSpans = roundTrace?.saved(checkpoint.step);
    const announce = () => this.announce(checkpoint, utteranceSpans);
    this.later(() => (roundTrace ? roundTrace.within(announce) : announce()));
  }

  private async announce(checkpoint: Checkpoint, utteranceSpans: readonly SpanContext[] = []): Promise<void> {
    const { runId, round, step, weights, view, configHash, codeVersion, savedAt } = checkpoint;
    await this.publisher.publish(checkpoints, {
      runId,
      round,
      step,
      manifestKey: manifestKey(runId, step),
      sha256: weights.sha256,
      viewDigest: view.digest,
      viewUtterances: view.utterances,
      viewTiles: view.tiles,
      newestUtteranceAt: view.newestAt,
      predictedTasks: checkpoint.predictions.map(({ task }) => task),
      backend: this.backend ?? '',
      configHash,
      codeVersion,
      savedAt,
    });
    await this.publisher.publishAbout(predictions, checkpoint.predictions, utteranceSpans);
  }

  /** Facts go out in the order in which they happened. */
  private later(publish: () => Promise<void>): void {
    this.announcing = this.announcing.then(publish).catch((error: unknown) => {
      if (!this.stopping) crashProcess(error);
    });
  }

  private enter(state: TrainerStatus['state'], because: string): void {
    if (this.state.because !== because) this.logger.info({ state }, because);
    this.state = { state, because };
  }
}

const describe = (tiles: { labelled: number; unlabelled: number }): string =>
  `a round on ${tiles.labelled} labelled and ${tiles.unlabelled} unlabelled tiles`;
