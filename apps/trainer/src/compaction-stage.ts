/**
 * Compaction beside training: every COMPACTION_INTERVAL the trainer's main process, which does not compute, compacts the
 * shards, if no other process does just then. It follows the topics from its first run on, with a state of its own.
 *
 * Delivery: that of the job (compaction-job.ts). A compaction that fails is tried again at the next interval; training
 * does not depend on it.
 */
import { randomBytes } from 'node:crypto';
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError } from '#contracts/pipeline-error.js';
import { topics } from '#contracts/topics.js';
import type { Logger } from '#service/logger.js';
import { Metrics } from '#service/metrics.js';
import { LOGGER } from '#service/observability.module.js';
import { ObjectStore } from '#storage/object-store.js';
import { storeMetrics } from '#storage/store-metrics.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { TableFollower } from '#streaming/table-follower.js';
import { CompactionJob, type CompactionReport } from '#training/compaction-job.js';
import type { TrainerConfig } from './config.js';
import { TRAINER_CONFIG } from './trainer-stage.js';

const stopLimitMs = 5_000;

@Injectable()
export class CompactionStage implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly stopped = new AbortController();
  private readonly metrics;
  private store: ObjectStore | undefined;
  private publisher: Publisher | undefined;
  private job: CompactionJob | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(
    @Inject(TRAINER_CONFIG) private readonly config: TrainerConfig,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(Metrics) metrics: Metrics,
  ) {
    this.metrics = {
      storeCalled: storeMetrics(metrics),
      runs: metrics.counter('compaction_runs_total', 'Compactions, by how they ended', ['outcome']),
      seconds: metrics.counter('compaction_seconds_total', 'Time that compactions took'),
      written: metrics.counter('compaction_shards_written_total', 'Shards written by compaction'),
      withdrawn: metrics.counter('compaction_shards_withdrawn_total', 'Shards withdrawn by compaction'),
      dropped: metrics.counter('compaction_tiles_dropped_total', 'Tiles that compaction left out, by why', ['why']),
      deleted: metrics.counter('compaction_objects_deleted_total', 'Objects deleted, by kind', ['kind']),
      freed: metrics.counter('compaction_freed_bytes_total', 'Bytes of deleted objects'),
      waiting: metrics.gauge('compaction_waiting_objects', 'Objects of no use that are not deleted yet'),
      unreadable: metrics.gauge('compaction_unreadable_shards', 'Shards whose objects the last compaction could not read'),
    };
  }

  onApplicationBootstrap(): void {
    if (this.config.compaction.intervalMs > 0) this.running = this.compactNowAndThen();
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopped.abort();
    await this.job?.stop();
    // It ends before its next step; but a store that does not answer may hold that up for minutes.
    await Promise.race([this.running, sleep(stopLimitMs, undefined, { ref: false })]);
    await this.publisher?.close();
    this.store?.close();
  }

  private async compactNowAndThen(): Promise<void> {
    const { signal } = this.stopped;
    for (;;) {
      await sleep(this.config.compaction.intervalMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const startedAt = performance.now();
      try {
        this.note(await (await this.started()).run());
        this.metrics.runs.inc({ outcome: 'done' });
      } catch (error) {
        if (signal.aborted) return;
        this.refused(error);
      }
      this.metrics.seconds.inc((performance.now() - startedAt) / 1000);
    }
  }

  /** At the first run: a trainer that never compacts does not read the topics twice. */
  private async started(): Promise<CompactionJob> {
    if (this.job) return this.job;
    const { kafka: connection, compaction, trainerId } = this.config;
    const { topicPrefix } = connection;
    const kafka = kafkaClient(connection, 'undertone-compaction', this.logger);
    await ensureTopics(kafka, topics, topicPrefix);
    this.store ??= new ObjectStore(this.config.store, { onCall: this.metrics.storeCalled });
    this.publisher = new Publisher(kafka, topicPrefix);
    await this.publisher.connect();
    const job = new CompactionJob({
      store: this.store,
      publisher: this.publisher,
      follower: new TableFollower(kafka, topicPrefix, 'compaction', this.logger),
      topicPrefix,
      holder: `trainer ${trainerId} (${randomBytes(4).toString('hex')})`,
      settings: compaction.settings,
    });
    this.job = job;
    try {
      await job.start();
    } catch (error) {
      this.job = undefined;
      await job.stop().catch(() => undefined);
      throw error;
    }
    return job;
  }

  private note(report: CompactionReport): void {
    this.metrics.written.inc(report.written);
    this.metrics.withdrawn.inc(report.withdrawn);
    for (const [why, tiles] of Object.entries(report.dropped)) this.metrics.dropped.inc({ why }, tiles as number);
    this.metrics.deleted.inc({ kind: 'shard' }, report.shardsDeleted);
    this.metrics.deleted.inc({ kind: 'predictions' }, report.predictionsDeleted);
    this.metrics.freed.inc(report.bytesFreed);
    this.metrics.waiting.set(report.waiting);
    this.metrics.unreadable.set(report.unreadable.length);
    const { unreadable, notSwept, ...counts } = report;
    if (unreadable.length > 0) this.logger.warn({ shardIds: unreadable.slice(0, 20) }, 'shards could not be read, and stay as they are');
    if (notSwept) this.logger.warn(notSwept);
    this.logger.info(counts, 'compacted');
  }

  private refused(error: unknown): void {
    const code = error instanceof PipelineError ? error.code : null;
    this.metrics.runs.inc({ outcome: code === 'LEASE_HELD' ? 'held' : 'failed' });
    if (code === 'LEASE_HELD') return this.logger.info((error as Error).message);
    this.logger.error(code ? { code } : { err: error }, `compaction failed, and is tried again later: ${(error as Error).message}`);
  }
}
