/**
 * Takes one record: parses it, has the worker take it, and says as data what became of it. failure.ts decides; this file
 * counts failures and writes dead letters.
 *
 * Delivery: a failure that nobody expected is counted durably before the record is tried again. If the store is away,
 * the count of this process alone decides.
 */
import { failureSubject } from '#contracts/dead-letters.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Topic } from '#contracts/topic.js';
import type { Logger } from '#service/logger.js';
import { failSpan, type Span } from '#service/spans.js';
import type { DeadLetterOffice, Subject } from './dead-letter-office.js';
import { decideFailure, failureLimit, tooManyDeaths, type Outcome } from './failure.js';
import { parseRecord } from './parse-record.js';
import type { StreamRecord } from './partition-worker.js';
import { subjectAttributes } from './record-spans.js';
import { Attempts, fateOf, retrying } from './retry.js';
import { refuseUndecodable } from './undecodable-batches.js';

/** Remembers, beyond the life of a process, on which records it failed or died. `CrashCounter` of libs/storage is one. */
export interface CrashMemory {
  /** Counts the deaths of earlier processes. Called before the first record; calling it again changes nothing. */
  recover(): Promise<void>;
  /** Marks the subject as in hand. A subject that was in hand when a process died waits for its turn, so that it is alone. */
  begin(subject: string): Promise<InHand>;
  /** @returns the failures so far, deaths of the process and this one included */
  count(subject: string, error: unknown): Promise<number>;
  /** The subject was taken, or has its dead letter. */
  forget(subject: string): Promise<void>;
}

export interface InHand {
  /** If not 0: the process failed or died so often with it that it is not tried again. */
  refusedAfter: number;
  end: () => void;
}

export interface RecordTakerOptions<Fact> {
  topic: Topic<Fact>;
  deadLetterOffice: DeadLetterOffice;
  /** Names the subject of a dead letter. Failures are counted by it too. */
  subjectOf: (record: StreamRecord<Fact>) => Subject;
  crashes: CrashMemory;
  logger: Logger;
  onRetry?: () => void;
}

/** The record of a partition that is at hand, over all its tries. */
export class Trying {
  readonly attempts = new Attempts();
  /** Unknown errors in this process. */
  unknown = 0;

  constructor(readonly offset: string) {}
}

export interface TakeContext {
  /** Has the worker take the record. */
  work: () => Promise<void>;
  trying: Trying;
  span: Span;
  /** Ends the assignment: what becomes of the record is another's matter then. */
  signal: AbortSignal;
}

/** So many subjects are remembered that were tried often enough. */
const hopelessAtMost = 1_000;

export class RecordTaker<Fact> {
  /** Subjects that had their dead letter UNKNOWN_REPEATED: hinted at again, they hold up the others for one try only. */
  private readonly hopeless = new Set<string>();

  constructor(private readonly options: RecordTakerOptions<Fact>) {}

  /** Never throws. When the outcome is a dead letter, the letter is durable. */
  async take(record: StreamRecord<Fact>, context: TakeContext): Promise<Outcome> {
    const outcome = await this.tryOnce(record, context);
    if (outcome.kind !== 'dead-letter' || context.signal.aborted) return outcome;
    try {
      await this.bury(record, outcome.error, context.signal);
      return outcome;
    } catch (error) {
      return { kind: 'stop', error };
    }
  }

  private async tryOnce(record: StreamRecord<Fact>, { work, trying, span, signal }: TakeContext): Promise<Outcome> {
    const { crashes } = this.options;
    let inHand: InHand | undefined;
    try {
      refuseUndecodable(record.headers);
      if (record.origin.value) record.fact = parseRecord(this.options.topic, record.origin.value, record.key);
      if (span.isRecording()) span.setAttributes(subjectAttributes(this.subjectOf(record)));
      inHand = await crashes.begin(this.countedBy(record));
      if (signal.aborted) return { kind: 'taken' };
      if (inHand.refusedAfter > 0) return tooManyDeaths(inHand.refusedAfter);
      await work();
      inHand.end();
      // Nobody waited for the worker any more, or another has the partition: nothing is known of the record.
      if (signal.aborted) return { kind: 'taken' };
      this.hopeless.delete(this.countedBy(record));
      await this.forget(record);
      return { kind: 'taken' };
    } catch (error) {
      inHand?.end();
      failSpan(span, error);
      if (signal.aborted) return { kind: 'taken' };
      return this.failed(record, trying, error);
    } finally {
      inHand?.end();
    }
  }

  private async failed(record: StreamRecord<Fact>, trying: Trying, error: unknown): Promise<Outcome> {
    if (fateOf(error) === 'unknown') {
      trying.unknown++;
      const durable = await this.options.crashes.count(this.countedBy(record), error).catch(() => 0);
      trying.unknown = Math.max(trying.unknown, durable, this.hopeless.has(this.countedBy(record)) ? failureLimit : 0);
    }
    const outcome = decideFailure(error, trying);
    if (outcome.kind !== 'retry') return outcome;
    this.options.onRetry?.();
    const { utteranceId, objectKey } = this.subjectOf(record);
    const code = error instanceof PipelineError ? error.code : undefined;
    const attempt = trying.attempts.failed + trying.unknown;
    const { waitMs } = outcome;
    this.options.logger.warn({ err: error, code, waitMs, attempt, key: record.key, utteranceId, objectKey }, 'will try again');
    return outcome;
  }

  private async bury(record: StreamRecord<Fact>, error: PipelineError, signal: AbortSignal): Promise<void> {
    const { logger, deadLetterOffice } = this.options;
    const subject = this.subjectOf(record);
    const { utteranceId, objectKey } = subject;
    const { offset } = record.origin;
    logger.warn({ code: error.code, err: error.cause, key: record.key, offset, utteranceId, objectKey }, error.message);
    await retrying(() => deadLetterOffice.bury(record.origin, subject, error), { signal });
    if (error.code === 'UNKNOWN_REPEATED') this.giveUpOn(this.countedBy(record));
    await this.forget(record);
  }

  private giveUpOn(subject: string): void {
    this.hopeless.add(subject);
    const [oldest] = this.hopeless;
    if (this.hopeless.size > hopelessAtMost && oldest !== undefined) this.hopeless.delete(oldest);
  }

  private async forget(record: StreamRecord<Fact>): Promise<void> {
    // A count that stays behind costs the record one of its next tries, if it ever fails again.
    await this.options.crashes.forget(this.countedBy(record)).catch(() => undefined);
  }

  private countedBy(record: StreamRecord<Fact>): string {
    return failureSubject(this.subjectOf(record), record.origin);
  }

  /** A bug in a stage's naming must not keep a record from its dead letter. */
  private subjectOf(record: StreamRecord<Fact>): Subject {
    try {
      return this.options.subjectOf(record);
    } catch {
      return {};
    }
  }
}
