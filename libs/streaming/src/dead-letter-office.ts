/**
 * Writes a letter to the dead-letters topic for each record that can never succeed, with the reason.
 *
 * A letter is small whatever its record is: it holds the first 16 kB of the value, with the size and sha256 of the whole
 * value beside them. The record itself stays on its topic. So a flood of large bad records costs its readers little.
 */
import { createHash } from 'node:crypto';
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

const keptValueBytes = 16_384;
const keptKeyBytes = 2_048;
const keptMessageChars = 4_000;
/** An object key has at most 1,024 bytes; a longer name is no key, and may be as long as a record. */
const longestName = 2_048;

export class DeadLetterOffice {
  constructor(
    private readonly publisher: Pick<Publisher, 'publish'>,
    private readonly stage: Stage,
    private readonly onBuried: (letter: DeadLetter) => void = () => undefined,
  ) {}

  /** Resolves when the letter is durable; only then may the record's offset be committed. */
  async bury(origin: RecordOrigin, subject: Subject, error: PipelineError): Promise<void> {
    const letter: DeadLetter = {
      stage: this.stage,
      code: error.code,
      message: shortened(error.message),
      origin: { topic: origin.topic, partition: origin.partition, offset: origin.offset, ...beginningOf(origin) },
      ...withoutLongNames(subject),
      traceparent: traceparentOf(activeSpan().spanContext()),
      failedAt: new Date().toISOString(),
    };
    await this.publisher.publish(deadLetters, letter);
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

function beginningOf({ key, value }: RecordOrigin): Pick<DeadLetter['origin'], 'keyBase64' | 'valueBase64' | 'cut'> {
  const isCut = value !== null && value.byteLength > keptValueBytes;
  return {
    keyBase64: key?.subarray(0, keptKeyBytes).toString('base64') ?? null,
    valueBase64: value?.subarray(0, keptValueBytes).toString('base64') ?? null,
    ...(isCut && { cut: { valueSizeBytes: value.byteLength, valueSha256: createHash('sha256').update(value).digest('hex') } }),
  };
}

function shortened(message: string): string {
  if (message.length <= keptMessageChars) return message;
  return `${message.slice(0, keptMessageChars)}… (${message.length} characters in all)`;
}

function withoutLongNames(subject: Subject): Subject {
  const short = Object.entries(subject).filter(([, name]) => name === undefined || name.length <= longestName);
  return Object.fromEntries(short);
}
