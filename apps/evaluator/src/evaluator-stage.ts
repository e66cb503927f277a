/**
 * The Kafka edge of the evaluator. It turns predictions into evaluations and promotion decisions, and keeps the overview that
 * the dashboard shows.
 */
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Subject, type Observable } from 'rxjs';
import { evaluations } from '#contracts/evaluations.js';
import { predictions, type PredictionsWritten } from '#contracts/predictions.js';
import { promotions, rejectionReasons } from '#contracts/promotions.js';
import { followInto } from '#overview/follow-pipeline.js';
import type { OverviewSnapshot } from '#overview/overview-snapshot.js';
import { PipelineOverview } from '#overview/pipeline-overview.js';
import { type ServiceRestarts, troublesOf } from '#overview/troubles.js';
import { Liveness } from '#service/liveness.js';
import type { Logger } from '#service/logger.js';
import { Metrics } from '#service/metrics.js';
import { LOGGER } from '#service/observability.module.js';
import { Readiness } from '#service/readiness.js';
import { epochMs } from '#service/epoch.js';
import { activeSpan, pastSpan } from '#service/spans.js';
import { evaluatorGroup } from '#streaming/consumer-groups.js';
import type { FollowerLetters } from '#streaming/follower-letters.js';
import { StageRuntime } from '#stage/stage-runtime.js';
import { PartitionConsumer } from '#streaming/partition-consumer.js';
import { retrying } from '#streaming/retry.js';
import type { TableFollower } from '#streaming/table-follower.js';
import { contextOf, utteranceTraceparents, type RecordHeaders } from '#streaming/trace-headers.js';
import type { EvaluatorConfig } from './config.js';
import { evaluatePredictions } from '#evaluation/evaluate-predictions.js';
import { ModelMetrics } from './model-metrics.js';
import { Promoter } from './promote-models.js';
import { type StageLight, StageWatch } from './stage-watch.js';

export const EVALUATOR_CONFIG = Symbol('evaluator config');

const stages = ['ingest', 'features', 'trainer', 'predictor'] as const;
type StageName = (typeof stages)[number] | 'evaluator';
export type DashboardState = OverviewSnapshot & {
  stages: Record<StageName, StageLight>;
  /** Problems that a person should read first. */
  troubles: string[];
};

const publishIntervalMs = 500;
const healthIntervalMs = 2_000;
const metricsIntervalMs = 5_000;
const correctionIntervalMs = 60_000;

@Injectable()
export class EvaluatorStage implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly runtime: StageRuntime<'evaluator'>;
  private readonly consumer: PartitionConsumer<PredictionsWritten>;
  private readonly follower: TableFollower;
  private readonly letters: FollowerLetters;
  private readonly promoter: Promoter;
  private readonly modelMetrics: ModelMetrics;
  private readonly inFlight;
  private readonly live;
  private readonly refusedCorpora;
  private readonly watch: StageWatch<(typeof stages)[number]>;
  private readonly overview = new PipelineOverview();
  private readonly changes = new Subject<DashboardState>();
  private readonly timers: NodeJS.Timeout[] = [];
  private light: StageLight = 'starting';
  private changed = true;

  constructor(
    @Inject(EVALUATOR_CONFIG) config: EvaluatorConfig,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(Metrics) metrics: Metrics,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Liveness) liveness: Liveness,
  ) {
    this.runtime = new StageRuntime('evaluator', { config, services: { logger, metrics, readiness, liveness } });
    const { store, publisher, topicPrefix } = this.runtime;
    const shared = this.runtime.consumerParts();
    this.follower = followInto(
      this.overview,
      this.runtime.follower('evaluator-table'),
      () => (this.changed = true),
      (letter) => this.letters.note(letter),
    );
    this.letters = this.runtime.reportSkipped(this.follower, shared.deadLetterOffice);
    const scored = metrics.counter('evaluations_total', 'Evaluations published');
    const scoring = metrics.histogram(
      'scoring_duration_seconds',
      'From reading the predictions of one task to having published their scores',
      [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
    );
    const decided = metrics.counter('promotions_total', 'Models compared with their champion, by outcome', ['outcome']);
    for (const outcome of ['promoted', ...rejectionReasons]) decided.inc({ outcome }, 0);
    this.promoter = new Promoter({
      store,
      settings: config.promotion,
      publish: (fact) => publisher.publish(promotions, fact),
      announced: (target) => this.overview.promotionOf(target),
      onDecision: (fact) => {
        decided.inc({ outcome: fact.type === 'ModelPromoted' ? 'promoted' : fact.reason });
        logger.info(
          { model: fact.challenger, target: fact.target, why: fact.why },
          fact.type === 'ModelPromoted' ? 'promoted' : 'rejected',
        );
      },
    });
    this.consumer = new PartitionConsumer({
      ...shared,
      topic: predictions,
      groupId: evaluatorGroup(topicPrefix),
      subjectOf: ({ fact }) => ({ objectKey: fact?.objectKey }),
      createWorker: ({ settle }) => ({
        take: async ({ fact, origin, headers }) => {
          if (fact) {
            const startedAtMs = epochMs();
            const stopClock = scoring.startTimer();
            const evaluated = await evaluatePredictions(fact, store);
            await publisher.publish(evaluations, ...evaluated);
            stopClock();
            scored.inc(evaluated.length);
            await this.promoter.consider(fact);
            tellUtterances(fact, headers, startedAtMs);
          }
          settle(origin.offset);
        },
        abandon: () => undefined,
        drain: () => Promise.resolve(),
      }),
    });
    this.modelMetrics = new ModelMetrics(metrics, this.overview, store);
    this.inFlight = metrics.gauge('in_flight_utterances', 'Utterances neither in a shard nor dead-lettered');
    this.live = metrics.gauge('live_utterances', 'Utterances alive');
    this.refusedCorpora = metrics.gauge('refused_corpora', 'Corpora whose annotations ingest cannot use');
    const restarted = metrics.counter('stage_restarts_total', 'Restarts of a service that the evaluator has seen', ['stage']);
    for (const stage of stages) restarted.inc({ stage }, 0);
    this.watch = new StageWatch(config.stageUrls, (stage) => {
      restarted.inc({ stage });
      logger.warn({ stage }, 'a service has restarted');
    });
    this.runtime.watch([this.follower, this.consumer]);
  }

  onApplicationBootstrap(): void {
    this.readiness.startInBackground(() => this.start());
  }

  async onApplicationShutdown(): Promise<void> {
    await this.runtime.stop(async () => {
      for (const timer of this.timers) clearInterval(timer);
      this.changes.complete();
      await this.consumer.stop();
      await this.follower.stop();
    });
  }

  private async start(): Promise<void> {
    await this.runtime.connect();
    await this.follower.start();
    this.letters.start();
    await retrying(() => this.promoter.announceChampions());
    await this.consumer.start();
    this.timers.push(setInterval(() => this.publishChange(), publishIntervalMs));
    this.timers.push(setInterval(() => void this.updateMetrics(), metricsIntervalMs));
    this.timers.push(setInterval(() => void this.askStages(), healthIntervalMs));
    this.timers.push(setInterval(() => void this.correctAnnouncements(), correctionIntervalMs));
    await this.askStages();
    this.light = 'ready';
  }

  state(): DashboardState {
    const snapshot = this.overview.snapshot();
    const lights = Object.fromEntries(stages.map((stage) => [stage, this.watch.lightOf(stage)])) as Record<
      (typeof stages)[number],
      StageLight
    >;
    return { ...snapshot, stages: { ...lights, evaluator: this.light }, troubles: troublesOf(snapshot, this.restarts) };
  }

  /** @returns restarts of the other services since this one started */
  get restarts(): ServiceRestarts[] {
    return this.watch.restarts;
  }

  /** Sends the state when it has changed, at most twice a second. */
  get stateChanges(): Observable<DashboardState> {
    return this.changes;
  }

  private publishChange(): void {
    if (!this.changed || !this.changes.observed) return;
    this.changed = false;
    this.changes.next(this.state());
  }

  /** The bucket says who is champion. A forged promotion record lasts a minute. */
  private async correctAnnouncements(): Promise<void> {
    await this.promoter.correctAnnouncements().catch((error: unknown) => {
      this.logger.debug({ err: error }, 'cannot compare the announced champions with the bucket now; trying again in a minute');
    });
  }

  private async askStages(): Promise<void> {
    if (await this.watch.ask()) this.changed = true;
  }

  private async updateMetrics(): Promise<void> {
    const snapshot = this.overview.snapshot();
    this.inFlight.set(snapshot.reconciliation.inFlight);
    this.live.set(snapshot.utterances.live);
    this.refusedCorpora.set(snapshot.refusedCorpora.length);
    await this.modelMetrics.update(snapshot).catch((error: unknown) => {
      this.logger.debug({ err: error }, 'cannot read the age of the champion now; trying again at the next update');
    });
  }
}

/** Ends the traces of the utterances that this model was the first to learn. */
function tellUtterances({ runId, step, task }: PredictionsWritten, headers: RecordHeaders | undefined, startedAtMs: number): void {
  const attributes = { 'undertone.run.id': runId, 'undertone.step': step, 'undertone.task': task };
  const of = activeSpan().spanContext();
  for (const traceparent of utteranceTraceparents(headers))
    if (traceparent) pastSpan('evaluate', { startedAtMs, attributes, of, parent: contextOf({ traceparent }) });
}
