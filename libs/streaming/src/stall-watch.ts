/**
 * Watches a stage's consumers for silent stalls. Every 15 s it asks the broker for the ends of its topics, and a {@link StallJudge}
 * compares them with the consumers' positions. It keeps one connection open.
 *
 * Its findings go to `/health/live`. It restarts nothing itself, and an error of the broker is no finding.
 */
import type { Admin, Kafka } from 'kafkajs';
import type { Logger } from '#service/logger.js';
import type { Gauge, Metrics } from '#service/metrics.js';
import { atMost } from './at-most.js';
import { retryLimitMs } from './retry.js';
import { StallJudge, type ConsumerSight, type PartitionSight, type StallLimits } from './stall-judge.js';

export interface PartitionActivity extends Omit<PartitionSight, 'position' | 'end'> {
  /** Null if nothing was taken since the partition was assigned; then the committed offset counts, if there is one. */
  position: bigint | null;
}

/** The state that a consumer reports about itself. */
export interface ConsumerActivity {
  memberAtMs: number | null;
  partitions: PartitionActivity[];
  /** Time of the last taken record, by topic. */
  takenAtMs: ReadonlyMap<string, number>;
}

export interface WatchedConsumer {
  readonly groupId: string;
  readonly topics: readonly string[];
  /** True if the group keeps its offsets; else it begins at the first record. */
  readonly commits: boolean;
  /** @returns null before its start and during its stop */
  activity(): ConsumerActivity | null;
}

export interface StallWatchOptions {
  kafka: Kafka;
  consumers: WatchedConsumer[];
  metrics: Metrics;
  logger: Logger;
  /** Longest time that any of them may have one record in hand. Default: the time limit of retries. */
  longestTakeMs?: number;
  stallMs?: number;
  outOfGroupMs?: number;
  intervalMs?: number;
}

interface Range {
  low: bigint;
  high: bigint;
}
/** The offsets of each partition, by topic and partition. */
type Places = ReadonlyMap<string, Range>;

export class StallWatch {
  private readonly admin: Admin;
  private readonly limits: StallLimits;
  private judges: { consumer: WatchedConsumer; judge: StallJudge; finding: string | null }[];
  private readonly lag: Gauge<'topic'>;
  private readonly idle: Gauge<'topic'>;
  private readonly intervalMs: number;
  private readonly startedAtMs = performance.now();
  private connected = false;
  private timer: NodeJS.Timeout | undefined;
  private looking = false;

  constructor(private readonly options: StallWatchOptions) {
    const { kafka, consumers, metrics, stallMs = 60_000, outOfGroupMs = 90_000, longestTakeMs = retryLimitMs } = options;
    this.intervalMs = options.intervalMs ?? 15_000;
    this.limits = { stallMs, outOfGroupMs, longestTakeMs, gapMs: 2.5 * this.intervalMs };
    this.admin = kafka.admin();
    this.judges = consumers.map((consumer) => this.judged(consumer));
    this.lag = metrics.gauge('consumer_lag_records', 'Records that wait to be taken by this instance', ['topic']);
    this.idle = metrics.gauge('consumer_idle_seconds', 'Time since this instance took a record', ['topic']);
  }

  /** Adds a later consumer. All consumers share the same threads, so each may take as long as all of them together. */
  add(consumer: WatchedConsumer): void {
    this.judges = [...this.judges, this.judged(consumer)];
    this.limits.longestTakeMs = (this.options.longestTakeMs ?? retryLimitMs) * this.judges.length;
  }

  remove(consumer: WatchedConsumer): void {
    this.judges = this.judges.filter((each) => each.consumer !== consumer);
  }

  private judged(consumer: WatchedConsumer): StallWatch['judges'][number] {
    return { consumer, judge: new StallJudge(this.limits), finding: null };
  }

  /** Starts the watch. Call it before the consumers start, so that it also finds a start that never ends. */
  start(): void {
    this.timer = setInterval(() => void this.look(), this.intervalMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await atMost(500, this.admin.disconnect());
  }

  /** @returns the stalled consumer and the reason, or null */
  whyStalled(): string | null {
    const found = this.judges.find(({ finding }) => finding !== null);
    return found ? `${found.consumer.groupId} ${found.finding}` : null;
  }

  private async look(): Promise<void> {
    // During an outage the client itself waits, so the last question may still be open.
    if (this.looking) return this.judge(null);
    this.looking = true;
    try {
      this.judge(await this.ask());
    } catch (error) {
      this.options.logger.debug({ err: error }, 'the broker does not answer the question for the ends of its topics');
      this.judge(null);
    } finally {
      this.looking = false;
    }
  }

  private async ask(): Promise<{ ends: Places; committed: Map<string, Map<string, bigint>> }> {
    if (!this.connected) await this.admin.connect();
    this.connected = true;
    const consumers = this.judges.map(({ consumer }) => consumer);
    const ends = new Map<string, Range>();
    for (const topic of new Set(consumers.flatMap(({ topics }) => topics))) {
      for (const { partition, low, high } of await this.admin.fetchTopicOffsets(topic))
        ends.set(`${topic}/${partition}`, { low: BigInt(low), high: BigInt(high) });
    }
    const committed = new Map<string, Map<string, bigint>>();
    for (const consumer of consumers) {
      if (consumer.commits && lacksPosition(consumer)) committed.set(consumer.groupId, await this.committedBy(consumer));
    }
    return { ends, committed };
  }

  private async committedBy({ groupId, topics }: WatchedConsumer): Promise<Map<string, bigint>> {
    const found = await this.admin.fetchOffsets({ groupId, topics: [...topics] });
    return new Map(
      found.flatMap(({ topic, partitions }) =>
        partitions.map(({ partition, offset }): [string, bigint] => [`${topic}/${partition}`, BigInt(offset)]),
      ),
    );
  }

  private judge(answer: { ends: Places; committed: Map<string, Map<string, bigint>> } | null): void {
    const nowMs = performance.now();
    const seen: Seen[] = [];
    for (const each of this.judges) {
      const activity = each.consumer.activity();
      const before = each.finding;
      const sight = activity && answer && sightOf(activity, answer.ends, answer.committed.get(each.consumer.groupId));
      each.finding = each.judge.observe(sight, nowMs);
      if (each.finding && !before) this.options.logger.error({ groupId: each.consumer.groupId }, `stalled: it ${each.finding}`);
      if (activity && sight) seen.push({ topics: each.consumer.topics, activity, sight });
    }
    this.report(seen);
  }

  /** Exports by topic: records that wait for its consumers, and the time since one of them took a record. */
  private report(seen: Seen[]): void {
    for (const topic of new Set(seen.flatMap(({ topics }) => topics))) {
      const readers = seen.filter(({ topics }) => topics.includes(topic));
      const waiting = readers.flatMap(({ sight }) => sight.partitions.filter((each) => each.topic === topic && each.end > each.position));
      this.lag.set(
        { topic },
        waiting.reduce((sum, { position, end }) => sum + Number(end - position), 0),
      );
      const takenAtMs = Math.max(...readers.map(({ activity }) => activity.takenAtMs.get(topic) ?? this.startedAtMs));
      this.idle.set({ topic }, (performance.now() - takenAtMs) / 1000);
    }
  }
}

interface Seen {
  topics: readonly string[];
  activity: ConsumerActivity;
  sight: ConsumerSight;
}

const lacksPosition = (consumer: WatchedConsumer): boolean =>
  consumer.activity()?.partitions.some(({ position }) => position === null) ?? false;

/** Makes the observation of a consumer. Records that the topic no longer holds do not count as waiting. */
function sightOf(activity: ConsumerActivity, ends: Places, committed: ReadonlyMap<string, bigint> | undefined): ConsumerSight {
  const partitions = activity.partitions.flatMap((each): PartitionSight[] => {
    const name = `${each.topic}/${each.partition}`;
    const range = ends.get(name);
    if (!range) return [];
    const position = each.position ?? committed?.get(name) ?? -1n;
    return [{ ...each, position: position < range.low ? range.low : position, end: range.high }];
  });
  return { memberAtMs: activity.memberAtMs, partitions };
}
