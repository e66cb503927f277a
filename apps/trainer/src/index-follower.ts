/**
 * The trainer's index, as the topics tell it: followed from their first record, or from a snapshot and what came after it.
 *
 * Delivery: the index is a fold of compacted topics, so records that come twice change nothing. A snapshot only saves time;
 * one that cannot be written or read costs a longer start.
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

/** For the snapshot at the end. */
const lastSnapshotMs = 6_000;

export interface IndexFollowerOptions {
  kafka: ReturnType<typeof kafkaClient>;
  topicPrefix: string;
  store: ObjectStore;
  snapshotIntervalMs: number;
  /** Told of each utterance after the index was, with its version now; undefined: erased. */
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
      .on(featureSettingsChosen, (_key, fact) => this.followed.applySettings(fact))
      .onPassedOver(passedOverMetrics(metrics));
    this.stallWatch = new StallWatch({ kafka, consumers: [this.follower], metrics, logger });
  }

  get index(): TrainingIndex {
    return this.followed;
  }

  /** @returns why the follower stands still, in words, or null */
  whyStalled(): string | null {
    return this.stallWatch.whyStalled();
  }

  /** Resolves when everything that was in the topics is in the index. */
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
    // A store that is away must not keep the process from ending in time.
    if (this.follower.completeAtMs > 0) await atMost(lastSnapshotMs, this.writeSnapshot());
    await this.follower.stop();
    await this.stallWatch.stop();
  }

  private applyShard(shardId: string, fact: ShardSealed | null, { headers }: FollowedRecord): void {
    this.followed.applyShard(shardId, fact);
    if (fact) this.followed.traces.note(fact.utterances, utteranceTraceparents(headers));
  }

  private async takeSnapshot(): Promise<void> {
    // How old a snapshot is counts from when everything had been read.
    await this.follower.sync().catch(() => undefined);
    if (!this.stopping) await this.writeSnapshot();
  }

  private async writeSnapshot(): Promise<void> {
    await this.snapshots.write(this.followed, this.follower).catch((error: unknown) => {
      this.options.logger.warn({ err: error }, 'the index could not be written; the next start may take longer');
    });
  }
}
