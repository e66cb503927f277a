/**
 * Takes one record: parses it, gives it to the worker, and returns the outcome as data. failure.ts decides the outcome; this file
 * counts failures and writes dead letters.
 *
 * Delivery: an unknown error is counted durably before the record is tried again. During an outage of the store, the count of this
 * process alone decides.
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

/** Counts across processes on which records a stage failed or died. `CrashCounter` of libs/storage implements it. */
export interface CrashMemory {
  /** Counts the deaths of earlier processes. Called before the first record; calling it again changes nothing. */
  recover(): Promise<void>;
  /** Marks the subject as in hand. A subject that was in hand when a process died waits until it is the only such one. */
  begin(subject: string): Promise<InHand>;
  /** @returns the number of failures, including deaths of the process and this failure */
  count(subject: string, error: unknown): Promise<number>;
  /** Clears the count of a subject that was taken or has its dead letter. */
  clearCount(subject: string): Promise<void>;
}

export interface InHand {
  /** If not 0, the process failed or died this often with it, and it is not tried again. */
  refusedAfter: number;
  end: () => void;
}

export interface RecordTakerOptions<Fact> {
  topic: Topic<Fact>;
  deadLetterOffice: DeadLetterOffice;
  /** Names the subject of a dead letter. Failures are counted by the same name. */
  subjectOf: (record: StreamRecord<Fact>) => Subject;
  crashes: CrashMemory;
  logger: Logger;
  onRetry?: () => void;
}

/** The present record of a partition, over all its tries. */
export class Trying {
  readonly attempts = new Attempts();
  /** Number of unknown errors in this process. */
  unknown = 0;

  constructor(readonly offset: string) {}
}

export interface TakeContext {
  /** Gives the record to the worker. */
  work: () => Promise<void>;
  trying: Trying;
  span: Span;
  /** Aborted when the assignment ends; the record then belongs to another member. */
  signal: AbortSignal;
}

/** Most remembered subjects that were tried often enough. */
const hopelessAtMost = 1_000;

export class RecordTaker<Fact> {
  /** Subjects with a dead letter UNKNOWN_REPEATED. If they are hinted at again, they get one try, so that they do not delay others. */
  private readonly hopeless = new Set<string>();

  constructor(private readonly options: RecordTakerOptions<Fact>) {}

  /** Never throws. If the outcome is a dead letter, the letter is durable. */
  async take(record: StreamRecord<Fact>, context: TakeContext): Promise<Outcome> {
    const outcome = await this.tryOnce(record, context);
    if (outcome.kind !== 'dead-letter' || context.signal.aborted) return outcome;
    try {
      await this.writeLetter(record, outcome.error, context.signal);
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
      // The consumer no longer waits for the worker, or another member has the partition, so the outcome is unknown.
      if (signal.aborted) return { kind: 'taken' };
      this.hopeless.delete(this.countedBy(record));
      await this.clear(record);
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
    this.options.logger.warn({ err: error, code, waitMs, attempt, key: record.key, utteranceId, objectKey }, 'trying again');
    return outcome;
  }

  private async writeLetter(record: StreamRecord<Fact>, error: PipelineError, signal: AbortSignal): Promise<void> {
    const { logger, deadLetterOffice } = this.options;
    const subject = this.subjectOf(record);
    const { utteranceId, objectKey } = subject;
    const { offset } = record.origin;
    logger.warn({ code: error.code, err: error.cause, key: record.key, offset, utteranceId, objectKey }, error.message);
    await retrying(() => deadLetterOffice.writeLetter(record.origin, subject, error), { signal });
    if (error.code === 'UNKNOWN_REPEATED') this.giveUpOn(this.countedBy(record));
    await this.clear(record);
  }

  private giveUpOn(subject: string): void {
    this.hopeless.add(subject);
    const [oldest] = this.hopeless;
    if (this.hopeless.size > hopelessAtMost && oldest !== undefined) this.hopeless.delete(oldest);
  }

  private async clear(record: StreamRecord<Fact>): Promise<void> {
    // If this fails, the leftover count costs the record one try the next time it fails.
    await this.options.crashes.clearCount(this.countedBy(record)).catch(() => undefined);
  }

  private countedBy(record: StreamRecord<Fact>): string {
    return failureSubject(this.subjectOf(record), record.origin);
  }

  /** Catches errors of the stage's naming function, so that a bug there does not prevent a dead letter. */
  private subjectOf(record: StreamRecord<Fact>): Subject {
    try {
      return this.options.subjectOf(record);
    } catch {
      return {};
    }
  }
}
