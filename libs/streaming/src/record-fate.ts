/**
 * What becomes of a record that a worker did not take: it is tried again, it becomes a dead letter, or the process crashes.
 * Which, `retry.ts` decides by the error; what no waiting mends and nobody knows is a crash, and the third on one record a
 * dead letter.
 */
import { once } from 'node:events';
import { PipelineError } from '#contracts/pipeline-error.js';
import { keyProblem, type Topic } from '#contracts/topic.js';
import type { Logger } from '#service/logger.js';
import type { DeadLetterOffice, RecordOrigin, Subject } from './dead-letter-office.js';
import type { OffsetLedger } from './offset-ledger.js';
import { Attempts, fateOf, retrying } from './retry.js';
import type { StreamRecord } from './partition-worker.js';

export interface RecordFateOptions<Fact> {
  topic: Topic<Fact>;
  deadLetterOffice: DeadLetterOffice;
  /** Names the subject of a dead letter. */
  subjectOf: (record: StreamRecord<Fact>) => Subject;
  /** Counts crashes on one offset, durably, and returns the count with this one. */
  countCrash: (origin: RecordOrigin) => Promise<number>;
  /** Ends the process loudly. */
  crash: (error: unknown) => void;
  logger: Logger;
  onRetry?: () => void;
}

/** The record of a partition that is tried again. */
export interface Trying {
  offset: string;
  attempts: Attempts;
}

/** The third crash on one offset is a dead letter. */
const crashLimit = 3;

export class RecordFate<Fact> {
  constructor(private readonly options: RecordFateOptions<Fact>) {}

  /** @throws PipelineError RECORD_INVALID */
  parse(value: Buffer, key: string | null): Fact {
    let json: unknown;
    try {
      json = JSON.parse(value.toString());
    } catch (error) {
      if (!this.options.topic.acceptsBytes) throw new PipelineError('RECORD_INVALID', 'The record is not JSON', { cause: error });
      json = value;
    }
    const parsed = this.options.topic.schema.safeParse(json);
    if (parsed.success) {
      const why = keyProblem(this.options.topic, key, parsed.data);
      if (why) throw new PipelineError('RECORD_INVALID', `The record does not fit ${this.options.topic.noun}: ${why}`);
      return parsed.data;
    }
    const problem = parsed.error.issues[0];
    throw new PipelineError(
      'RECORD_INVALID',
      `The record does not fit ${this.options.topic.noun}: ${problem?.path.join('.')} ${problem?.message}`,
    );
  }

  /** @returns after how many ms the record is tried again, or the error by which it is not */
  waitAfter(trying: Trying, record: StreamRecord<Fact>, error: unknown): number | { error: unknown } {
    const { attempts } = trying;
    try {
      const waitMs = attempts.waitAfter(error);
      this.options.onRetry?.();
      const { utteranceId, objectKey } = this.options.subjectOf(record);
      const code = error instanceof PipelineError ? error.code : undefined;
      const attempt = attempts.failed;
      this.options.logger.warn({ err: error, code, waitMs, attempt, key: record.key, utteranceId, objectKey }, 'will try again');
      return waitMs;
    } catch (final) {
      return { error: final };
    }
  }

  /**
   * Resolves when the record is settled as a dead letter, or, after a crash, when the assignment has ended.
   * @param signal ends the assignment
   */
  async decide(
    ledger: OffsetLedger,
    signal: AbortSignal,
    { record, error }: { record: StreamRecord<Fact>; error: unknown },
  ): Promise<void> {
    const { logger, deadLetterOffice, subjectOf } = this.options;
    const { origin } = record;
    try {
      const permanent = fateOf(error) === 'permanent' ? (error as PipelineError) : await this.repeatedCrash(origin, error);
      if (!permanent) throw error;
      const subject = subjectOf(record);
      const { utteranceId, objectKey } = subject;
      logger.warn({ code: permanent.code, key: record.key, offset: origin.offset, utteranceId, objectKey }, permanent.message);
      await retrying(() => deadLetterOffice.bury(origin, subject, permanent), { signal });
      ledger.settle(origin.offset);
    } catch (fatal) {
      if (signal.aborted) return;
      this.options.crash(fatal);
      // The process is going down; the batch must not go on past this record.
      await once(signal, 'abort');
    }
  }

  /** @returns the dead letter's error if this offset has crashed the stage too often, else null */
  private async repeatedCrash(origin: RecordOrigin, error: unknown): Promise<PipelineError | null> {
    const crashes = await this.options.countCrash(origin).catch(() => 1);
    if (crashes < crashLimit) return null;
    const message = error instanceof Error ? error.message : String(error);
    return new PipelineError('UNKNOWN_REPEATED', `Crashed ${crashes} times on this record: ${message}`, { cause: error });
  }
}
