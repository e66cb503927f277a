/**
 * Runs compaction under its lease: it follows the topics in a state of its own, plans, carries out the plan, and deletes
 * the objects that are no longer needed.
 *
 * Delivery: the job first takes the list of shards, then waits until the state has read all utterances up to that moment. The
 * record of a version is always older than its shard, so only then is "not the current version" true for all of them. A
 * job that lost its lease stops before its next step. Each step may be repeated.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { jobLeaseKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { topicName } from '#contracts/topic.js';
import { utterances } from '#contracts/utterances.js';
import { field } from '#service/read-config.js';
import type { Objects } from '#storage/object-store.js';
import type { Publisher } from '#streaming/publisher.js';
import { retrying } from '#streaming/retry.js';
import type { TableFollower } from '#streaming/table-follower.js';
import { compactShards, type CompactedShards } from './compact-shards.js';
import { retireSettings, type RetiredSettings } from './abandoned-settings.js';
import { CompactionState } from './compaction-state.js';
import { Lease, leaseRenewalMs, verifyEpoch } from '#storage/lease.js';
import { planCompaction, type CompactionPlan, type CompactionSettings, type DroppedTiles } from './plan-compaction.js';
import { type CleanPredictions, PredictionsScan, sweepObjects, whyNotSwept, type SweptObjects } from './sweep-objects.js';

export interface CompactionParts {
  store: Objects;
  publisher: Publisher;
  /** A new follower that only this job reads. */
  follower: TableFollower;
  topicPrefix: string;
  /** A name that no other process has, not even an earlier one. */
  holder: string;
  settings: CompactionSettings & { graceMs: number; settingsGraceMs: number };
  /** The result of an earlier job's scan of predictions. Without it, the job looks at all predictions. */
  clean?: CleanPredictions | undefined;
}

export interface CompactionProgress {
  doing: 'rewriting' | 'looking at predictions';
  done: number;
  /** Null if the total is unknown. */
  of: number | null;
}

export interface CompactionOptions {
  dryRun?: boolean;
  /** Called with the holder of the lease. If it throws, the waiting ends. */
  onWait?: (by: string) => void;
  onProgress?: (progress: CompactionProgress) => void;
}

export interface CompactionReport extends Omit<CompactedShards, 'unreadable'>, SweptObjects, RetiredSettings {
  shardsBefore: number;
  shardsAfter: number;
  tilesBefore: number;
  dropped: DroppedTiles;
  /** Ids of shards that could not be read. */
  unreadable: string[];
  /** The reason why no object was deleted; null if objects may be deleted. */
  notSwept: string | null;
}

/** Variables that the trainer and `undertone compact` both read. */
export const compactionFields = {
  SHARD_TILES: field
    .wholeIn('tiles', 1024, 1)
    .describe('Size up to which compaction merges small shards. Give features, the trainer and `undertone compact` the same value.'),
  COMPACTION_DEAD_SHARE: field
    .share(0.2)
    .describe(
      'Compaction rewrites a shard when this share of its tiles, from 0 to 1, is superseded or duplicate. Erased tiles always cause a rewrite.',
    ),
  COMPACTION_GRACE: field.wholeIn('seconds', 3600).describe('Compaction leaves an unused object alone for this long before it deletes it.'),
  COMPACTION_SETTINGS_GRACE: field
    .wholeIn('seconds', 7 * 24 * 3600)
    .describe('Compaction keeps tiles for this long under feature settings that no corpus uses any more.'),
};

export const compactionSettings = (read: Record<keyof typeof compactionFields, number>): CompactionParts['settings'] => ({
  shardTiles: read.SHARD_TILES,
  deadShare: read.COMPACTION_DEAD_SHARE,
  graceMs: read.COMPACTION_GRACE * 1000,
  settingsGraceMs: read.COMPACTION_SETTINGS_GRACE * 1000,
});

/** @param by holder of the lease. @throws PipelineError LEASE_HELD */
function refuseToWait(by: string): never {
  throw new PipelineError('LEASE_HELD', `${by} is compacting now. Wait until it has finished.`);
}

const leaseKey = jobLeaseKey('compaction');

export class CompactionJob {
  private readonly state: CompactionState;
  private readonly scan: PredictionsScan;
  private readonly stopped = new AbortController();

  constructor(private readonly parts: CompactionParts) {
    this.state = new CompactionState(parts.clean?.upTo);
    this.scan = new PredictionsScan(parts.clean);
    this.state.followedBy(parts.follower);
  }

  /** Result for the next job, which then need not look at all predictions again. */
  get clean(): CleanPredictions {
    return this.scan.result;
  }

  /** Reads the topics and follows them. */
  async start(): Promise<void> {
    await this.parts.follower.start();
  }

  /** A running job ends before its next step. */
  async stop(): Promise<void> {
    this.stopped.abort();
    await this.parts.follower.stop();
  }

  /** @throws PipelineError LEASE_LOST, CONFIG_INVALID for a bucket of other topics, and anything that `onWait` throws */
  async run(options: CompactionOptions = {}): Promise<CompactionReport> {
    const { store, holder, topicPrefix } = this.parts;
    const notSwept = await whyNotSwept(store, topicPrefix);
    if (options.dryRun) return this.compact(() => Promise.resolve(), notSwept, options);
    const lease = await retrying(() => Lease.acquire(store, leaseKey, holder, options.onWait ?? refuseToWait));
    const done = new AbortController();
    const keeping = keepLease(lease, done.signal);
    try {
      return await this.compact(() => this.verify(lease), notSwept, options);
    } finally {
      done.abort();
      await keeping;
      await retrying(() => lease.release());
    }
  }

  private async verify(lease: Lease): Promise<void> {
    if (this.stopped.signal.aborted) throw new PipelineError('LEASE_LOST', 'Compaction was stopped. The next one does the rest.');
    await retrying(() => verifyEpoch(this.parts.store, lease.key, lease.epoch));
  }

  private async compact(verify: () => Promise<void>, notSwept: string | null, options: CompactionOptions): Promise<CompactionReport> {
    const { follower, store, topicPrefix, settings } = this.parts;
    const { dryRun = false, onProgress } = options;
    const { state, scan } = this;
    const sync = (): Promise<void> => follower.sync();
    await sync();
    const before = [...state.shards.values()];
    const retiring = await retireSettings({
      store,
      publisher: this.parts.publisher,
      state,
      sync,
      verify,
      settingsGraceMs: settings.settingsGraceMs,
      dryRun,
    });
    const isRetired = new Set(retiring.retired.map(({ settingsHash }) => settingsHash));
    const retired = before.filter(({ settingsHash }) => isRetired.has(settingsHash));
    const report: CompactionReport = {
      ...{ shardsBefore: before.length, shardsAfter: before.length, tilesBefore: tilesOf(before), notSwept },
      ...{
        written: 0,
        writtenBytes: 0,
        withdrawn: 0,
        withdrawnBytes: 0,
        unreadable: [],
        dropped: { erased: 0, superseded: 0, duplicate: 0 },
      },
      ...{ shardsDeleted: 0, predictionsDeleted: 0, bytesFreed: 0, waiting: 0, heldByReaders: 0 },
      ...retiring,
    };
    for (;;) {
      const plan = await this.plan(report.unreadable, isRetired);
      addTo(report.dropped, plan.dropped);
      if (dryRun) {
        Object.assign(report, wouldDo(plan));
        break;
      }
      const tools = { store, publisher: this.parts.publisher, state, sync, verify };
      const done = await compactShards(plan, { ...tools, onProgress: (at, of) => onProgress?.({ doing: 'rewriting', done: at, of }) });
      report.unreadable.push(...done.unreadable);
      for (const name of ['written', 'writtenBytes', 'withdrawn', 'withdrawnBytes'] as const) report[name] += done[name];
      // If a shard could not be read, the shards that were to be merged with it are planned again.
      if (done.unreadable.length === 0) break;
    }
    report.withdrawn += retired.length;
    report.withdrawnBytes += bytesOf(retired);
    await sync();
    report.shardsAfter = dryRun ? report.shardsBefore + report.written - report.withdrawn : state.shards.size;
    if (notSwept) return report;
    scan.startAt(state.erasures, follower.positions()[topicName(utterances, topicPrefix)] ?? {});
    const onLook = (looked: number): void => onProgress?.({ doing: 'looking at predictions', done: looked, of: null });
    const swept = await sweepObjects({
      store,
      topicPrefix,
      state,
      sync,
      verify,
      graceMs: settings.graceMs,
      dryRun,
      scan,
      onProgress: onLook,
    });
    return { ...report, ...swept };
  }

  /** Takes the shards first, then reads all utterances up to now: an utterance that is read later cannot be in those shards. */
  private async plan(unreadable: readonly string[], isRetired: ReadonlySet<string>): Promise<CompactionPlan> {
    const { state } = this;
    const shards = [...state.shards.values()].filter(({ settingsHash }) => !isRetired.has(settingsHash));
    await this.parts.follower.sync();
    return planCompaction({ shards, versionOf: (id) => state.versionOf(id), unreadable: new Set(unreadable) }, this.parts.settings);
  }
}

/** Renews the lease again and again. If the lease is lost, verifyEpoch finds it before the next step. */
async function keepLease(lease: Lease, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(leaseRenewalMs, undefined, { signal }).catch(() => undefined);
    if (!signal.aborted) await retrying(() => lease.renew(), { signal }).catch(() => undefined);
  }
}

const wouldDo = ({ outputs, withdrawn }: CompactionPlan): Partial<CompactionReport> => ({
  written: outputs.length,
  withdrawn: withdrawn.length,
  withdrawnBytes: bytesOf(withdrawn),
});

function addTo(sum: DroppedTiles, { erased, superseded, duplicate }: DroppedTiles): void {
  sum.erased += erased;
  sum.superseded += superseded;
  sum.duplicate += duplicate;
}

const bytesOf = (shards: readonly { sizeBytes: number }[]): number => shards.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
const tilesOf = (shards: readonly { tileCount: number }[]): number => shards.reduce((sum, { tileCount }) => sum + tileCount, 0);
