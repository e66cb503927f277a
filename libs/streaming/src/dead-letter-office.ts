/**
 * Writes records that can never succeed to the dead-letters topic, as they were, with the reason. In base64 a record is a
 * third longer: one that no longer fits the broker's limit is left where it stood, and its letter says so.
 */
import { deadLetters, type DeadLetter, type Stage } from '#contracts/dead-letters.js';
import type { PipelineError } from '#contracts/pipeline-error.js';
import { topicName } from '#contracts/topic.js';
import { activeSpan } from '#service/spans.js';
import type { Publisher } from './publisher.js';
import type { PassedOverRecord } from './table-follower.js';
import { traceparentOf } from './trace-headers.js';

export interface RecordOrigin {
  topic: string;
  partition: number;
  offset: string;
  key: Buffer | null;
  value: Buffer | null;
}

/** Whose record it was, and under which settings it failed, where the stage knows. */
export type Subject = Pick<DeadLetter, 'objectKey' | 'utteranceId' | 'version' | 'settingsHash'>;

export class DeadLetterOffice {
  constructor(
    private readonly publisher: Publisher,
    private readonly stage: Stage,
    private readonly onBuried: (letter: DeadLetter) => void = () => undefined,
  ) {}

  /** Resolves when the letter is durable; only then may the record's offset be committed. */
  async bury(origin: RecordOrigin, subject: Subject, error: PipelineError): Promise<void> {
    const letter: DeadLetter = {
      stage: this.stage,
      code: error.code,
      message: error.message,
      origin: {
        topic: origin.topic,
        partition: origin.partition,
        offset: origin.offset,
        keyBase64: origin.key?.toString('base64') ?? null,
        valueBase64: origin.value?.toString('base64') ?? null,
      },
      ...subject,
      traceparent: traceparentOf(activeSpan().spanContext()),
      failedAt: new Date().toISOString(),
    };
    await this.publisher.publish(deadLetters, letter).catch((reason: unknown) => {
      if (!isTooLarge(reason)) throw reason;
      const message = `${letter.message} (its ${origin.value?.byteLength ?? 0} bytes are too many for a dead letter)`;
      return this.publisher.publish(deadLetters, { ...letter, message, origin: { ...letter.origin, valueBase64: null } });
    });
    this.onBuried(letter);
  }
}

/** Of the records that one process passes over, so many get a letter; a topic full of junk would come again at each start. */
const lettersAtMost = 100;

/** Writes letters for the records that a follower passes over. Lost letters are no loss: the record comes again at the next start. */
export function lettersForFollower(office: DeadLetterOffice, topicPrefix: string): (passed: PassedOverRecord) => void {
  let written = 0;
  return ({ topic, record: { key, value, partition, offset }, error }) => {
    // A letter about a letter would be read by the same follower.
    if (topic === topicName(deadLetters, topicPrefix) || written >= lettersAtMost) return;
    written++;
    office.bury({ topic, partition, offset, key: key === null ? null : Buffer.from(key), value }, {}, error).catch(() => undefined);
  };
}

/** The client wraps what the broker said, sometimes twice. */
function isTooLarge(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ((cause as { type?: unknown }).type === 'MESSAGE_TOO_LARGE') return true;
  }
  return false;
}
