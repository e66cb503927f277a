/**
 * The Kafka edge of the predictor: it follows utterances, shards, checkpoints and promotions, and gives the others the served model.
 *
 * Delivery: see score-stream.ts. Several predictors share the utterances by partition-share.ts. Each of them answers over HTTP.
 */
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { checkpoints } from '#contracts/checkpoints.js';
import { deadLetters } from '#contracts/dead-letters.js';
import { emotions } from '#contracts/emotions.js';
import { promotions } from '#contracts/promotions.js';
import { shardsLabelled, shardsUnlabelled, type ShardSealed } from '#contracts/shards.js';
import { utterances, type UtteranceIngested } from '#contracts/utterances.js';
import { TrainingIndex } from '#index/training-index.js';
import { crashProcess } from '#service/crash-process.js';
import { Liveness } from '#service/liveness.js';
import type { Logger } from '#service/logger.js';
import { Metrics } from '#service/metrics.js';
import { LOGGER } from '#service/observability.module.js';
import { Readiness } from '#service/readiness.js';
import { StageRuntime } from '#stage/stage-runtime.js';
import { predictorGroup } from '#streaming/consumer-groups.js';
import type { FollowerLetters } from '#streaming/follower-letters.js';
import { PartitionShare } from '#streaming/partition-share.js';
import type { TableFollower } from '#streaming/table-follower.js';
import { chooseBackend } from '#tensor/backend.js';
import type { PredictorConfig } from './config.js';
import { ModelKeeper } from './model-keeper.js';
import { PredictorMetrics } from './predictor-metrics.js';
import type { PredictorStatus } from './predictor-answers.js';
import { ScoreBacklog } from './score-backlog.js';
import { ScoreStream } from './score-stream.js';
import { ShardTiles } from './shard-tiles.js';
import { SilenceProfiles } from './silence-profiles.js';

export const PREDICTOR_CONFIG = Symbol('predictor config');

@Injectable()
export class PredictorStage implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly runtime: StageRuntime<'predictor'>;
  private readonly follower: TableFollower;
  private readonly share: PartitionShare;
  private readonly letters: FollowerLetters;
  private readonly stream: ScoreStream;
  readonly index = new TrainingIndex();
  readonly silence = new SilenceProfiles();
  readonly backlog: ScoreBacklog;
  readonly keeper: ModelKeeper;
  readonly metrics: PredictorMetrics;
  private backend: string | null = null;

  constructor(
    @Inject(PREDICTOR_CONFIG) private readonly config: PredictorConfig,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(Metrics) metrics: Metrics,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Liveness) liveness: Liveness,
  ) {
    this.runtime = new StageRuntime('predictor', { config, services: { logger, metrics, readiness, liveness } });
    const { kafka, store, publisher, topicPrefix } = this.runtime;
    const { deadLetterOffice: office } = this.runtime.consumerParts();
    this.share = new PartitionShare({
      kafka,
      topic: emotions,
      topicPrefix,
      groupId: predictorGroup(topicPrefix),
      logger,
      crash: crashProcess,
      beforeTaking: () => this.follower.sync(),
      onChange: () => {
        this.backlog.considerAll();
        this.stream.notify();
      },
    });
    this.backlog = new ScoreBacklog({ index: this.index, rescore: config.rescore, owns: (id) => this.share.owns(id) });
    this.metrics = new PredictorMetrics(metrics, () => this.backlog);
    this.keeper = new ModelKeeper({
      store,
      logger,
      crash: crashProcess,
      onChange: (model) => {
        this.metrics.serves(model.identity);
        this.backlog.serve(model);
        this.stream.notify();
      },
    });
    this.stream = new ScoreStream({
      backlog: this.backlog,
      tiles: new ShardTiles(store),
      model: () => this.keeper.model,
      publisher,
      office,
      onScored: (scored) => this.metrics.scoredBatch(scored),
      onTombstones: (count) => this.metrics.withdrew(count),
      logger,
      crash: crashProcess,
    });
    this.follower = this.runtime
      .follower('predictor-table')
      .on(utterances, (id, fact) => this.applyUtterance(id, fact))
      .on(shardsLabelled, (id, fact) => this.applyShard(id, fact))
      .on(shardsUnlabelled, (id, fact) => this.applyShard(id, fact))
      .on(emotions, (id, fact) => this.backlog.applyScore(id, fact))
      .on(checkpoints, (_run, fact) => this.isReading || (fact && this.keeper.noteCheckpoint(fact)))
      .on(promotions, () => this.isReading || this.keeper.noteNews())
      .on(deadLetters, (_key, letter) => letter && this.letters.note(letter));
    // Other stages write letters about the records of the other topics.
    this.letters = this.runtime.reportSkipped(this.follower, office, [emotions]);
    this.runtime.watch([this.follower]);
  }

  onApplicationBootstrap(): void {
    this.readiness.startInBackground(() => this.start());
  }

  async onApplicationShutdown(): Promise<void> {
    await this.runtime.stop(async () => {
      await this.stream.stop();
      await this.share.stop();
      await this.follower.stop();
      this.keeper.stop();
    });
  }

  get store() {
    return this.runtime.store;
  }

  status(): PredictorStatus {
    const { model, checkpoint, since, problem } = this.keeper;
    return {
      model:
        model && checkpoint && since !== null
          ? { ...model.identity, round: checkpoint.round, savedAt: checkpoint.savedAt, servedSince: since }
          : null,
      backend: this.backend,
      problem,
      utterances: this.backlog.counts,
      partitions: this.share.partitions,
    };
  }

  private async start(): Promise<void> {
    const backend = await chooseBackend({ ...this.config.backend, log: (message) => this.logger.debug(message) });
    this.backend = backend.name;
    this.logger.info({ backend: backend.name, why: backend.why }, 'ready to compute');
    await this.runtime.connect();
    await this.follower.start();
    this.letters.start();
    await this.keeper.refresh();
    await this.share.start();
    this.stream.start();
  }

  private applyUtterance(id: string, fact: UtteranceIngested | null): void {
    this.index.applyUtterance(id, fact);
    this.silence.note(id, fact?.silence ?? null);
    this.backlog.consider([id]);
    this.stream.notify();
  }

  private applyShard(id: string, fact: ShardSealed | null): void {
    const before = this.index.idsIn(id);
    this.index.applyShard(id, fact);
    this.backlog.consider(new Set([...before, ...this.index.idsIn(id)]));
    this.stream.notify();
  }

  /** True until the records of before the start are read. Then the model is chosen once. */
  private get isReading(): boolean {
    return this.follower.completeAtMs === 0;
  }
}
