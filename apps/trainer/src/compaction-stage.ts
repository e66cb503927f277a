/**
 * Compacts shards beside training. Every COMPACTION_INTERVAL it starts a process that compacts, unless another process compacts
 * already. That process reads the topics from their start, and ends after its work (compaction-process.ts).
 *
 * Delivery: as the job promises (compaction-job.ts). The next interval repeats a failed compaction. Training does not depend on it.
 */
import { randomBytes } from 'node:crypto';
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Logger } from '#service/logger.js';
import { Metrics } from '#service/metrics.js';
import { LOGGER } from '#service/observability.module.js';
import { storeMetrics } from '#storage/store-metrics.js';
import { noteRetry } from '#streaming/retry.js';
import type { CompactionReport } from '#compaction/compaction-job.js';
import type { CleanPredictions } from '#compaction/sweep-objects.js';
import { compactInProcess } from './compact-in-process.js';
import type { TrainerConfig } from './config.js';
import { TRAINER_CONFIG } from './trainer-stage.js';

/** Well below the retention of tombstones, because a later reader of the topics might miss one. */
const cleanForMs = 24 * 3_600_000;

@Injectable()
export class CompactionStage implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly stopped = new AbortController();
  private readonly metrics;
  private readonly holder;
  private clean: { result: CleanPredictions; asOfMs: number } | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(
    @Inject(TRAINER_CONFIG) private readonly config: TrainerConfig,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(Metrics) metrics: Metrics,
  ) {
    this.holder = `trainer ${config.trainerId} (${randomBytes(4).toString('hex')})`;
    this.metrics = {
      storeCalled: storeMetrics(metrics),
      runs: metrics.counter('compaction_runs_total', 'Compactions, by how they ended', ['outcome']),
      seconds: metrics.counter('compaction_seconds_total', 'Time spent in compactions'),
      written: metrics.counter('compaction_shards_written_total', 'Shards written by compaction'),
      withdrawn: metrics.counter('compaction_shards_withdrawn_total', 'Shards withdrawn by compaction'),
      dropped: metrics.counter('compaction_tiles_dropped_total', 'Tiles that compaction dropped, by reason', ['why']),
      deleted: metrics.counter('compaction_objects_deleted_total', 'Objects deleted, by kind', ['kind']),
      freed: metrics.counter('compaction_freed_bytes_total', 'Bytes of deleted objects'),
      waiting: metrics.gauge('compaction_waiting_objects', 'Useless objects that are not deleted yet'),
      unreadable: metrics.gauge('compaction_unreadable_shards', 'Shards whose objects the last compaction could not read'),
    };
  }

  onApplicationBootstrap(): void {
    if (this.config.compaction.intervalMs > 0) this.running = this.compactNowAndThen();
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopped.abort();
    await this.running;
  }

  private async compactNowAndThen(): Promise<void> {
    const { signal } = this.stopped;
    for (;;) {
      await sleep(this.config.compaction.intervalMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const startedAt = performance.now();
      try {
        this.note(await this.compact());
        this.metrics.runs.inc({ outcome: 'done' });
      } catch (error) {
        if (signal.aborted) return;
        this.refused(error);
      }
      this.metrics.seconds.inc((performance.now() - startedAt) / 1000);
    }
  }

  private async compact(): Promise<CompactionReport> {
    const { kafka, store, service, compaction } = this.config;
    const asOfMs = Date.now();
    const known = this.clean && asOfMs - this.clean.asOfMs < cleanForMs ? this.clean.result : undefined;
    const { report, clean } = await compactInProcess(
      { kafka, store, logLevel: service.logLevel, holder: this.holder, settings: compaction.settings, clean: known },
      { stopped: this.stopped.signal, onStoreCall: this.metrics.storeCalled, onRetry: noteRetry },
    );
    this.clean = { result: clean, asOfMs };
    return report;
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
    if (unreadable.length > 0)
      this.logger.warn({ shardIds: unreadable.slice(0, 20) }, 'compaction could not read some shards, and left them unchanged');
    if (notSwept) this.logger.warn(notSwept);
    this.logger.info(counts, 'compacted');
  }

  private refused(error: unknown): void {
    const code = error instanceof PipelineError ? error.code : null;
    this.metrics.runs.inc({ outcome: code === 'LEASE_HELD' ? 'held' : 'failed' });
    if (code === 'LEASE_HELD') return this.logger.info((error as Error).message);
    this.logger.error(
      code ? { code } : { err: error },
      `compaction failed; trying again at the next interval: ${(error as Error).message}`,
    );
  }
}
