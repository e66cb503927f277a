/**
 * The trainer's edge: starts rounds and handles their outcome. index-follower.ts follows the index; round-announcer.ts announces
 * facts to the other stages.
 *
 * Delivery: each announcement follows from a stored object. Every start announces the newest checkpoint and its predictions again,
 * so a crash between storing and announcing loses nothing. Repeats have the same keys and contents.
 */
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ModelSettings, parseModelSettings } from '#paper/settings.js';
import { PipelineError, type ErrorCode } from '#contracts/pipeline-error.js';
import { crashProcess } from '#service/crash-process.js';
import { Liveness } from '#service/liveness.js';
import type { Logger } from '#service/logger.js';
import { Metrics } from '#service/metrics.js';
import { LOGGER } from '#service/observability.module.js';
import { Readiness } from '#service/readiness.js';
import { atMost } from '#streaming/at-most.js';
import { StageRuntime } from '#stage/stage-runtime.js';
import { retrying } from '#streaming/retry.js';
import { RoundView } from '#rounds/round-view.js';
import type { TrainerStatus } from '#rounds/trainer-status.js';
import type { TrainingIndex, TrainingView } from '#index/training-index.js';
import type { RoundEvent } from './compute-client.js';
import type { ComputeRound } from './compute-round.js';
import type { TrainerConfig } from './config.js';
import { IndexFollower } from './index-follower.js';
import { findRunFor, OpenRun } from './open-run.js';
import { GeometryProofs } from './prove-geometry.js';
import { RoundAnnouncer } from './round-announcer.js';
import { RoundFindings } from './round-findings.js';
import { RoundReports } from './round-reports.js';
import { RoundSchedule } from './round-schedule.js';
import { RoundTrace } from './round-trace.js';
import { TrainerMetrics } from './trainer-metrics.js';

export const TRAINER_CONFIG = Symbol('trainer config');

const scheduleIntervalMs = 500;
const lastWordsMs = 2_000;
/** Errors that another try on the same view would only repeat. All others end the process, and its supervisor restarts it. */
const ofTheView = new Set<ErrorCode>(['SPEAKER_LEAK', 'MODEL_DIVERGED', 'CHECKPOINT_INVALID', 'SETTINGS_INVALID', 'RECORD_INVALID']);

@Injectable()
export class TrainerStage implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly runtime: StageRuntime<'trainer'>;
  private readonly followed: IndexFollower;
  private readonly announcer: RoundAnnouncer;
  private readonly proofs: GeometryProofs;
  private readonly modelSettings: ModelSettings;
  private readonly findings: RoundFindings;
  private readonly metrics: TrainerMetrics;
  private readonly reports: RoundReports;
  private schedule: RoundSchedule;
  private open: OpenRun | undefined;
  private runId: string;
  /** The running round, if there is one. */
  private round: { view: RoundView; compute: ComputeRound; trace?: RoundTrace } | undefined;
  private backend: string | null = null;
  private stopping = false;
  private state: Pick<TrainerStatus, 'state' | 'because'> = { state: 'starting', because: 'reading the topics' };

  constructor(
    @Inject(TRAINER_CONFIG) private readonly config: TrainerConfig,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(Metrics) metrics: Metrics,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Liveness) liveness: Liveness,
  ) {
    const services = { logger, metrics, readiness, liveness };
    this.runtime = new StageRuntime('trainer', { config, services, storeRetry: retrying });
    const { kafka, store, publisher, topicPrefix } = this.runtime;
    this.metrics = new TrainerMetrics(metrics, ofTheView);
    this.proofs = new GeometryProofs(store);
    this.runId = config.run.runId;
    this.schedule = new RoundSchedule(config.rounds);
    this.modelSettings = parseModelSettings(config.run.model);
    this.findings = new RoundFindings(this.modelSettings);
    this.announcer = new RoundAnnouncer({
      publisher,
      store,
      onFailure: (error) => {
        if (!this.stopping) crashProcess(error);
      },
    });
    this.reports = new RoundReports({ logger, metrics: this.metrics, findings: this.findings, announcer: this.announcer });
    this.followed = new IndexFollower({
      kafka,
      topicPrefix,
      store,
      snapshotIntervalMs: config.snapshotIntervalMs,
      onUtterance: (utteranceId, version) => {
        if (this.round?.view.differs(utteranceId, version)) this.round.compute.erase([utteranceId]);
      },
      logger,
      metrics,
    });
    liveness.watch('consumers', () => this.followed.whyStalled());
  }

  onApplicationBootstrap(): void {
    this.readiness.startInBackground(() => this.start());
  }

  async onApplicationShutdown(): Promise<void> {
    await this.runtime.stop(async () => {
      this.stopping = true;
      this.open?.stop();
      // An outage of the broker must not delay the end of the process.
      await atMost(lastWordsMs, this.announcer.settled);
      await this.followed.stop();
    });
  }

  private async start(): Promise<void> {
    await this.runtime.connect();
    await this.followed.start();
    this.run().catch((error: unknown) => {
      if (!this.stopping) crashProcess(error);
    });
  }

  private get index(): TrainingIndex {
    return this.followed.index;
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
      findings: this.findings.all,
    };
  }

  /** Works on one run after another: a view with another tile geometry needs another network. */
  private async run(): Promise<void> {
    while (!this.stopping) {
      if (!(await this.isTileProven())) continue;
      const run = findRunFor(this.config, this.index.tile);
      if (run instanceof PipelineError) {
        await this.waitForOtherTiles(run);
        continue;
      }
      this.runId = run.runId;
      this.schedule = new RoundSchedule(this.config.rounds);
      this.open = await OpenRun.open(run, this.config, this.runtime.store, {
        onRoundEvent: (event) => this.onRoundEvent(event),
        onWait: (holder) => this.enter('waiting', `${holder} holds run ${run.runId}`),
      });
      if (this.stopping) return this.open.stop();
      await this.trainOn(this.open);
    }
  }

  /** Waits a little if only records state the tile geometry. Nobody may turn the trainer to another network by a record. */
  private async isTileProven(): Promise<boolean> {
    if (await retrying(() => this.proofs.prove(this.index))) return true;
    this.enter('waiting', `no shard file has the tiles of ${this.index.tile?.join(' x ')} that shard records state`);
    await sleep(scheduleIntervalMs);
    return false;
  }

  /** The shards state the geometry. Ending the process would only read the same shards again. */
  private async waitForOtherTiles({ code, message }: PipelineError): Promise<void> {
    this.logger.error({ code, tile: this.index.tile }, message);
    this.metrics.refused(code);
    while (!this.stopping && findRunFor(this.config, this.index.tile) instanceof PipelineError) {
      this.enter('waiting', `${code}: ${message}; shards state tiles of ${this.index.tile?.join(' x ')}`);
      await sleep(scheduleIntervalMs);
    }
  }

  /** Trains rounds of a run until the view's tiles belong to another run. */
  private async trainOn(open: OpenRun): Promise<void> {
    const { backend, why, restored } = open.ready;
    const { runId } = open.run;
    this.backend = backend;
    this.announcer.backend = backend;
    this.findings.runOpened(restored?.rateScale ?? 1);
    this.logger.info({ runId, backend, why, step: restored?.step ?? 0 }, 'ready to train');
    if (restored?.complete) {
      this.schedule.trained(restored.view.digest, { nowMs: Date.parse(restored.savedAt) });
      await this.announcer.tellAgain(restored);
    }
    while (!this.stopping) {
      if (!(await this.isTileProven())) continue;
      const next = findRunFor(this.config, this.index.tile);
      if (next instanceof PipelineError || next.runId !== runId) {
        this.logger.info({ before: runId, tile: this.index.tile }, 'tiles have another geometry: another run follows');
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
    const round = { view: new RoundView(view), compute: compute.takeRound(view) };
    this.round = round; // from here on, the round learns of erasures
    for (const finding of this.findings.viewTaken(view)) this.logger.warn(finding);
    this.metrics.found(this.findings.all);
    // The shards of this round stay in the store, even if they are withdrawn from now on (libs/compaction/src/sweep-objects.ts).
    await retrying(() => lease.note({ roundStartedAt: new Date() }));
    const trace = new RoundTrace(this.index.traces, round.view, this.runId);
    this.round = { ...round, trace };
    await this.train(round.compute, view, trace);
    this.round = undefined;
    await retrying(() => lease.note({ roundStartedAt: null }));
    await this.announcer.settled;
  }

  /**
   * Reports a round that cannot succeed on this view, and waits for another view or other settings. A diverged model may succeed on
   * the same view at a lower learning rate.
   */
  private async train(round: ComputeRound, view: TrainingView, trace: RoundTrace): Promise<void> {
    try {
      await round.run(trace.utteranceIds);
      trace.end();
    } catch (error) {
      trace.end(error);
      if (!(error instanceof PipelineError) || !ofTheView.has(error.code)) throw error;
      this.logger.error({ code: error.code }, error.message);
      this.metrics.refused(error.code);
      if (error.code === 'MODEL_DIVERGED' && this.findings.isWorthAnotherTry) return;
      this.schedule.trained(view.digest, { nowMs: Date.now(), refused: `${error.code}: ${error.message}` });
    }
  }

  private onRoundEvent(event: RoundEvent): void {
    // The saved view may lack shards that the store had lost. Their new tiles are then news for the next round.
    if (event.type === 'saved' && event.checkpoint.complete) this.schedule.trained(event.checkpoint.view.digest, { nowMs: Date.now() });
    this.reports.report(event, { runId: this.runId, backend: this.backend ?? '', trace: this.round?.trace, index: this.index });
  }

  private enter(state: TrainerStatus['state'], because: string): void {
    if (this.state.because !== because) this.logger.info({ state }, because);
    this.state = { state, because };
  }
}

const describe = (tiles: { labelled: number; unlabelled: number }): string =>
  `a round on ${tiles.labelled} labelled and ${tiles.unlabelled} unlabelled tiles`;
