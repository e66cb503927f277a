/**
 * Runs jobs of experiments beside training, with EXPERIMENT_WORKER=1. All such trainers read the same jobs, and each takes one at
 * a time, so a fast trainer takes more. A job may take hours, so it does not depend on the membership of a consumer group.
 *
 * Delivery: a lease in the object store names the trainer of a job. The trainer stores the results, announces the scores, then
 * writes a tombstone for the job. If it is killed in between, another trainer takes the job when the lease has expired. That
 * trainer announces the stored results, or runs the job again (from its checkpoint on the same machine). Repeated announcements
 * have the same keys.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { evaluations } from '#contracts/evaluations.js';
import { experimentJobs, type ExperimentJobPlanned } from '#contracts/experiment-jobs.js';
import { experimentPrefix, jobLeaseKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { topics } from '#contracts/topics.js';
import { readJobFailure, readJobResult, writeJobFailure } from '#experiments/job-results.js';
import { JobWorker } from '#experiments/job-worker.js';
import { crashProcess } from '#service/crash-process.js';
import type { Logger } from '#service/logger.js';
import { Metrics } from '#service/metrics.js';
import { LOGGER } from '#service/observability.module.js';
import { ObjectStore } from '#storage/object-store.js';
import { PrefixedStore } from '#storage/prefixed-store.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { retrying } from '#streaming/retry.js';
import { TableFollower } from '#streaming/table-follower.js';
import { keepRenewed, Lease } from '#storage/lease.js';
import { experimentHoldId, experimentHoldMs, holdShards, releaseShards } from '#compaction/shard-holds.js';
import type { TrainerConfig } from './config.js';
import { TRAINER_CONFIG } from './trainer-stage.js';

const pollMs = 1_000;
/** Time before a job of another trainer is checked again. */
const heldMs = 10_000;
/** Most starts of a job whose process ends without an answer. */
const mostTries = 2;
/** Renewal interval of the hold on an experiment's shards. The hold lasts for days, so this is often enough. */
const holdRenewalMs = 10 * 60_000;
const stopLimitMs = 3_000;

@Injectable()
export class ExperimentStage implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly stopped = new AbortController();
  private readonly jobs = new Map<string, ExperimentJobPlanned>();
  private readonly heldUntil = new Map<string, number>();
  private readonly heldAtMs = new Map<string, number>();
  private readonly done;
  private worker: { experiment: string; process: JobWorker } | null = null;
  private running: Promise<void> = Promise.resolve();

  constructor(
    @Inject(TRAINER_CONFIG) private readonly config: TrainerConfig,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(Metrics) metrics: Metrics,
  ) {
    this.done = metrics.counter('experiment_jobs_total', 'Jobs of experiments, by how they ended', ['outcome']);
  }

  onApplicationBootstrap(): void {
    if (!this.config.experiments) return;
    this.running = this.work();
    this.running.catch((error: unknown) => {
      if (!this.stopped.signal.aborted) crashProcess(error);
    });
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopped.abort();
    this.worker?.process.end();
    // The starter of the job handles its failure.
    await Promise.race([this.running.catch(() => undefined), sleep(stopLimitMs, undefined, { ref: false })]);
  }

  private async work(): Promise<void> {
    const { kafka: connection, store: storeConnection } = this.config;
    const { topicPrefix } = connection;
    const kafka = kafkaClient(connection, 'undertone-experiments', this.logger);
    await ensureTopics(kafka, topics, topicPrefix);
    const publisher = new Publisher<'trainer'>(kafka, topicPrefix);
    const store = new ObjectStore(storeConnection, { retry: retrying });
    const follower = new TableFollower(kafka, topicPrefix, 'experiment-jobs', this.logger).on(experimentJobs, (key, fact) => {
      if (fact) this.jobs.set(key, fact);
      else this.jobs.delete(key);
    });
    await publisher.connect();
    await follower.start();
    const { signal } = this.stopped;
    try {
      while (!signal.aborted) {
        await this.holdShards(store);
        const [key, job] = [...this.jobs].find(([each]) => (this.heldUntil.get(each) ?? 0) <= Date.now()) ?? [];
        if (key === undefined || !job) await sleep(pollMs, undefined, { signal }).catch(() => undefined);
        else await this.take(key, job, { store, publisher });
      }
    } finally {
      await follower.stop();
      await publisher.close();
      store.close();
    }
  }

  private async take(
    key: string,
    job: ExperimentJobPlanned,
    { store, publisher }: { store: ObjectStore; publisher: Publisher<'trainer'> },
  ): Promise<void> {
    const { trainerId } = this.config;
    const holder = `trainer ${trainerId} (${randomBytes(4).toString('hex')})`;
    let lease: Lease;
    try {
      lease = await retrying(() => Lease.acquire(store, jobLeaseKey(`experiments/${key}`), holder, refuseToWait));
    } catch (error) {
      if (!(error instanceof PipelineError) || error.code !== 'LEASE_HELD') throw error;
      this.heldUntil.set(key, Date.now() + heldMs);
      return;
    }
    // The lease is lost: another trainer runs the job, and both give the same result.
    const endRenewal = keepRenewed(lease);
    try {
      const results = new PrefixedStore(store, experimentPrefix(job.experiment));
      const outcome = await this.outcomeOf(job, results);
      if (this.stopped.signal.aborted) return;
      const result = await retrying(() => readJobResult(results, job.jobId));
      if (result) await retrying(() => publisher.publish(evaluations, ...result.evaluations));
      await retrying(() => publisher.tombstone(experimentJobs, key));
      this.jobs.delete(key);
      this.done.inc({ outcome });
      await this.releaseShards(job, store);
    } finally {
      endRenewal();
      await retrying(() => lease.release());
    }
  }

  /** Holds the shards of an experiment, so that compaction deletes none while a trainer knows one of its jobs. */
  private async holdShards(store: ObjectStore): Promise<void> {
    for (const [experiment, [first]] of Map.groupBy(this.jobs.values(), (job) => job.experiment)) {
      if (!first || Date.now() - (this.heldAtMs.get(experiment) ?? 0) < holdRenewalMs) continue;
      const hold = { id: experimentHoldId(experiment), reader: `experiment ${experiment}`, since: new Date(first.plannedAt) };
      await retrying(() => holdShards(store, hold, experimentHoldMs), { signal: this.stopped.signal });
      this.heldAtMs.set(experiment, Date.now());
    }
  }

  private async releaseShards({ experiment }: ExperimentJobPlanned, store: ObjectStore): Promise<void> {
    if ([...this.jobs.values()].some((job) => job.experiment === experiment)) return;
    this.heldAtMs.delete(experiment);
    await retrying(() => releaseShards(store, experimentHoldId(experiment)));
  }

  private async outcomeOf(job: ExperimentJobPlanned, results: PrefixedStore): Promise<'done' | 'failed' | 'found'> {
    const { jobId, experiment } = job;
    if (await retrying(() => readJobResult(results, jobId))) return 'found';
    if (await retrying(() => readJobFailure(results, jobId))) return 'failed';
    this.logger.info(job, 'starting a job of an experiment');
    let why = '';
    for (let tries = 0; tries < mostTries && !this.stopped.signal.aborted; tries++) {
      const answer = await this.ask(experiment, jobId);
      if (answer.type === 'done') return 'done';
      why =
        answer.type === 'failed' ? `${answer.code ?? 'unknown'}: ${answer.message}` : answer.type === 'ended' ? answer.how : answer.type;
      // The process may have read an older plan than the one published since.
      this.worker?.process.end();
      this.worker = null;
      if (answer.type !== 'ended') break;
    }
    if (this.stopped.signal.aborted) return 'failed';
    this.logger.error({ ...job, why }, 'a job of an experiment failed');
    await retrying(() => writeJobFailure(results, jobId, why));
    return 'failed';
  }

  /** Reuses the process of the last job for the next job of the same experiment. */
  private async ask(experiment: string, jobId: string): ReturnType<JobWorker['ask']> {
    if (this.worker?.experiment !== experiment) {
      this.worker?.process.end();
      this.worker = null;
      const { store: connection, shardCache, backend } = this.config;
      const source = {
        kind: 'bucket',
        connection,
        experiment,
        shardCache: { ...shardCache, folder: `${shardCache.folder}-experiments` },
        workFolder: `${shardCache.folder}-experiment-work`,
      } as const;
      try {
        this.worker = { experiment, process: await JobWorker.start({ source, backend }, {}) };
      } catch (error) {
        return { type: 'failed', jobId, code: error instanceof PipelineError ? error.code : null, message: (error as Error).message };
      }
    }
    return this.worker.process.ask({ type: 'job', jobId });
  }
}

/** @param by the holder of the lease @throws PipelineError LEASE_HELD */
function refuseToWait(by: string): never {
  throw new PipelineError('LEASE_HELD', `${by} is running this job`);
}
