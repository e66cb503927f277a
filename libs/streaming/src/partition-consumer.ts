/**
 * The consumer loop: one worker per partition, three fates, and commits that never run ahead of effects.
 *
 * Delivery: at least once. A record comes again after a crash or a rebalance unless everything before it was settled
 * and committed. The position moves when a worker takes a record; the committed offset follows the {@link OffsetLedger}.
 * At every (re)join all workers are thrown away, because the client then reads on from the committed offsets: what a
 * worker held and had not settled comes again. What is idempotent about an effect is the worker's to say.
 */
import type { Consumer, EachBatchPayload, Kafka, KafkaMessage } from 'kafkajs';
import { PipelineError } from '#contracts/pipeline-error.js';
import { topicName, type Topic } from '#contracts/topic.js';
import type { Logger } from '#service/logger.js';
import type { DeadLetterOffice, RecordOrigin, Subject } from './dead-letter-office.js';
import { OffsetLedger } from './offset-ledger.js';
import { fateOf, retrying } from './retry.js';

export interface StreamRecord<Fact> {
  key: string | null;
  /** Null: a tombstone. */
  fact: Fact | null;
  origin: RecordOrigin;
}

export interface PartitionWorker<Fact> {
  /**
   * Takes one record; the next comes when this resolves. Effects may become durable later: until `settle` is called
   * with the record's offset, it is not committed. A thrown error decides the record's fate.
   */
  take(record: StreamRecord<Fact>): Promise<void>;
  /** The partition may belong to another now: forget what is held, settle nothing more. */
  abandon(): void;
  /** The process is asked to stop: finish what is held, if that is quick. */
  drain(): Promise<void>;
}

export interface WorkerContext {
  partition: number;
  settle: (offset: string) => void;
  /** For errors outside `take` (timers): the process crashes, as it would for an unknown error inside. */
  crash: (error: unknown) => void;
}

export interface PartitionConsumerOptions<Fact> {
  kafka: Kafka;
  topic: Topic<Fact>;
  topicPrefix: string;
  groupId: string;
  createWorker: (context: WorkerContext) => PartitionWorker<Fact>;
  deadLetterOffice: DeadLetterOffice;
  /** Names the subject of a dead letter. */
  subjectOf: (record: StreamRecord<Fact>) => Subject;
  /** Counts crashes on one offset, durably, and returns the count with this one. */
  countCrash: (origin: RecordOrigin) => Promise<number>;
  /** Ends the process loudly. */
  crash: (error: unknown) => void;
  logger: Logger;
  onRetry?: () => void;
  partitionsConsumedConcurrently?: number;
}

interface Assignment<Fact> {
  worker: PartitionWorker<Fact>;
  ledger: OffsetLedger;
  revoked: AbortController;
}

const commitIntervalMs = 500;
const heartbeatIntervalMs = 1_000;
/** The third crash on one offset is a dead letter. */
const crashLimit = 3;

export class PartitionConsumer<Fact> {
  private readonly consumer: Consumer;
  private readonly topic: string;
  private readonly assignments = new Map<number, Assignment<Fact>>();
  private commitTimer: NodeJS.Timeout | undefined;
  private stopping = false;

  constructor(private readonly options: PartitionConsumerOptions<Fact>) {
    this.topic = topicName(options.topic, options.topicPrefix);
    this.consumer = options.kafka.consumer({
      groupId: options.groupId,
      sessionTimeout: 10_000,
      rebalanceTimeout: 20_000,
      heartbeatInterval: heartbeatIntervalMs,
      maxWaitTimeInMs: 200,
      allowAutoTopicCreation: false,
      retry: { initialRetryTime: 100, maxRetryTime: 5_000, retries: 180, restartOnFailure: () => Promise.resolve(true) },
    });
  }

  /** Resolves when the group is joined. */
  async start(): Promise<void> {
    const joined = new Promise<void>((resolve) => {
      this.consumer.on(this.consumer.events.GROUP_JOIN, () => {
        this.abandonAll();
        resolve();
      });
    });
    this.consumer.on(this.consumer.events.CRASH, ({ payload }) => {
      if (!payload.restart) this.options.crash(payload.error);
    });
    await this.consumer.connect();
    await this.consumer.subscribe({ topic: this.topic, fromBeginning: true });
    await this.consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: this.options.partitionsConsumedConcurrently ?? 4,
      eachBatch: (payload) => this.takeBatch(payload),
    });
    await joined;
    this.commitTimer = setInterval(() => void this.commit(), commitIntervalMs);
  }

  /** Drains the workers, commits and leaves the group. */
  async stop(): Promise<void> {
    this.stopping = true;
    clearInterval(this.commitTimer);
    await Promise.allSettled([...this.assignments.values()].map(({ worker }) => worker.drain()));
    await this.commit();
    this.abandonAll();
    await this.consumer.disconnect();
  }

  private async takeBatch(payload: EachBatchPayload): Promise<void> {
    const { batch, heartbeat, resolveOffset, isRunning } = payload;
    const assignment = this.assignmentOf(batch.partition);
    const beat = setInterval(() => void heartbeat().catch(() => undefined), heartbeatIntervalMs);
    try {
      for (const message of batch.messages) {
        if (assignment.revoked.signal.aborted || this.stopping || !isRunning()) return;
        assignment.ledger.take(message.offset);
        await this.takeRecord(assignment, batch.partition, message);
        if (assignment.revoked.signal.aborted) return;
        resolveOffset(message.offset);
        // Throws when the group rebalances, which ends this batch; the records come again.
        await heartbeat();
      }
    } finally {
      clearInterval(beat);
    }
  }

  private async takeRecord(assignment: Assignment<Fact>, partition: number, message: KafkaMessage): Promise<void> {
    const origin: RecordOrigin = { topic: this.topic, partition, offset: message.offset, key: message.key, value: message.value };
    const record: StreamRecord<Fact> = { key: message.key?.toString() ?? null, fact: null, origin };
    try {
      if (message.value) record.fact = this.parse(message.value);
      await retrying(() => assignment.worker.take(record), {
        signal: assignment.revoked.signal,
        onRetry: (error, waitMs, attempt) => {
          this.options.onRetry?.();
          this.options.logger.warn({ err: error, waitMs, attempt, key: record.key }, 'will try again');
        },
      });
    } catch (error) {
      if (assignment.revoked.signal.aborted) return;
      await this.decideFate(assignment, record, error);
    }
  }

  private parse(value: Buffer): Fact {
    let json: unknown;
    try {
      json = JSON.parse(value.toString());
    } catch (error) {
      throw new PipelineError('RECORD_INVALID', 'The record is not JSON', { cause: error });
    }
    const parsed = this.options.topic.schema.safeParse(json);
    if (parsed.success) return parsed.data;
    const problem = parsed.error.issues[0];
    throw new PipelineError(
      'RECORD_INVALID',
      `The record does not fit ${this.options.topic.noun}: ${problem?.path.join('.')} ${problem?.message}`,
    );
  }

  private async decideFate(assignment: Assignment<Fact>, record: StreamRecord<Fact>, error: unknown): Promise<void> {
    const { logger, deadLetterOffice, subjectOf } = this.options;
    const { origin } = record;
    const permanent = fateOf(error) === 'permanent' ? (error as PipelineError) : await this.repeatedCrash(origin, error);
    if (!permanent) {
      this.options.crash(error);
      // The process is going down; the batch must not go on past this record.
      return new Promise(() => undefined);
    }
    logger.warn({ code: permanent.code, key: record.key, offset: origin.offset }, permanent.message);
    await retrying(() => deadLetterOffice.bury(origin, subjectOf(record), permanent));
    assignment.ledger.settle(origin.offset);
  }

  /** @returns the dead letter's error if this offset has crashed the stage too often, else null */
  private async repeatedCrash(origin: RecordOrigin, error: unknown): Promise<PipelineError | null> {
    const crashes = await this.options.countCrash(origin).catch(() => 1);
    if (crashes < crashLimit) return null;
    const message = error instanceof Error ? error.message : String(error);
    return new PipelineError('UNKNOWN_REPEATED', `Crashed ${crashes} times on this record: ${message}`, { cause: error });
  }

  private assignmentOf(partition: number): Assignment<Fact> {
    const existing = this.assignments.get(partition);
    if (existing) return existing;
    const ledger = new OffsetLedger();
    const revoked = new AbortController();
    const worker = this.options.createWorker({
      partition,
      crash: this.options.crash,
      settle: (offset) => {
        if (!revoked.signal.aborted) ledger.settle(offset);
      },
    });
    const assignment = { worker, ledger, revoked };
    this.assignments.set(partition, assignment);
    return assignment;
  }

  private abandonAll(): void {
    for (const { worker, revoked } of this.assignments.values()) {
      revoked.abort();
      worker.abandon();
    }
    this.assignments.clear();
  }

  private async commit(): Promise<void> {
    const offsets = [...this.assignments].flatMap(([partition, { ledger }]) => {
      const offset = ledger.takeCommittable();
      return offset === null ? [] : [{ topic: this.topic, partition, offset }];
    });
    if (offsets.length === 0) return;
    // A commit refused in a rebalance is no loss: the records come again and have no further effect.
    await this.consumer.commitOffsets(offsets).catch((error: unknown) => this.options.logger.debug({ err: error }, 'commit refused'));
  }
}
