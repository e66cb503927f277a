/**
 * Builds the trainer's index from the topics: from their first record, or from a snapshot and the records after it.
 *
 * Delivery: the index is a fold of compacted topics, so repeated records change nothing. A snapshot only saves time. If it cannot
 * be written or read, the next start takes longer.
 */
import { deadLetters } from '#contracts/dead-letters.js';
import { featureSettingsChosen } from '#contracts/feature-settings.js';
import { shardsLabelled, shardsUnlabelled, type ShardSealed } from '#contracts/shards.js';
import { utterances } from '#contracts/utterances.js';
import type { Logger } from '#service/logger.js';
import type { Metrics } from '#service/metrics.js';
import type { ObjectStore } from '#storage/object-store.js';
import { atMost } from '#streaming/at-most.js';
import type { kafkaClient } from '#streaming/kafka-client.js';
import { passedOverMetrics } from '#streaming/consumer-metrics.js';
import { retrying } from '#streaming/retry.js';
import { StallWatch } from '#streaming/stall-watch.js';
import { TableFollower, type FollowedRecord } from '#streaming/table-follower.js';
import { utteranceTraceparents } from '#streaming/trace-headers.js';
import { IndexSnapshots } from '#index/index-snapshot.js';
import { TrainingIndex } from '#index/training-index.js';

/** Time limit of the snapshot at the end. */
const lastSnapshotMs = 6_000;

export interface IndexFollowerOptions {
  kafka: ReturnType<typeof kafkaClient>;
  topicPrefix: string;
  store: ObjectStore;
  snapshotIntervalMs: number;
  /** Called for each utterance after the index took its record, with its present version; undefined if it was erased. */
  onUtterance: (utteranceId: string, version: string | undefined) => void;
  logger: Logger;
  metrics: Metrics;
}

export class IndexFollower {
  private followed = new TrainingIndex();
  private readonly follower: TableFollower;
  private readonly stallWatch: StallWatch;
  private readonly snapshots: IndexSnapshots;
  private snapshotTimer: NodeJS.Timeout | undefined;
  private stopping = false;

  constructor(private readonly options: IndexFollowerOptions) {
    const { kafka, topicPrefix, store, logger, metrics, onUtterance } = options;
    const topics = [utterances, shardsLabelled, shardsUnlabelled, deadLetters];
    this.snapshots = new IndexSnapshots({ store, kafka, topicPrefix, topics, logger });
    this.follower = new TableFollower(kafka, topicPrefix, 'trainer-index', logger)
      .on(utterances, (id, fact) => {
        this.followed.applyUtterance(id, fact);
        onUtterance(id, fact?.version);
      })
      .on(shardsLabelled, (id, fact, record) => this.applyShard(id, fact, record))
      .on(shardsUnlabelled, (id, fact, record) => this.applyShard(id, fact, record))
      .on(deadLetters, (_key, fact) => fact && this.followed.applyDeadLetter(fact))
      .on(featureSettingsChosen, (_key, fact) => this.followed.applySettings(fact));
    this.follower.onPassedOver(passedOverMetrics(metrics, this.follower.topics));
    this.stallWatch = new StallWatch({ kafka, consumers: [this.follower], metrics, logger });
  }

  get index(): TrainingIndex {
    return this.followed;
  }

  /** @returns the reason why the follower has stalled, or null */
  whyStalled(): string | null {
    return this.stallWatch.whyStalled();
  }

  /** Resolves when everything that was in the topics at the start is in the index. */
  async start(): Promise<void> {
    this.stallWatch.start();
    const restored = await retrying(() => this.snapshots.restore());
    if (restored) this.followed = restored.index;
    await this.follower.start(restored?.positions);
    this.followed.caughtUp();
    this.snapshotTimer = setInterval(() => void this.takeSnapshot(), this.options.snapshotIntervalMs);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    clearInterval(this.snapshotTimer);
    // An outage of the store must not delay the end of the process.
    if (this.follower.completeAtMs > 0) await atMost(lastSnapshotMs, this.writeSnapshot());
    await this.follower.stop();
    await this.stallWatch.stop();
  }

  private applyShard(shardId: string, fact: ShardSealed | null, { headers }: FollowedRecord): void {
    this.followed.applyShard(shardId, fact);
    if (fact) this.followed.traces.note(fact.utterances, utteranceTraceparents(headers));
  }

  private async takeSnapshot(): Promise<void> {
    // The age of a snapshot counts from the time at which everything had been read.
    await this.follower.sync().catch(() => undefined);
    if (!this.stopping) await this.writeSnapshot();
  }

  private async writeSnapshot(): Promise<void> {
    await this.snapshots.write(this.followed, this.follower).catch((error: unknown) => {
      this.options.logger.warn({ err: error }, 'could not write a snapshot of the index; the next start may take longer');
    });
  }
}
