/**
 * Writes a dead letter with the reason for each record that can never succeed.
 *
 * A letter is always small: it holds the first 16 kB of the value, and the size and sha256 of the whole value. The record itself
 * stays on its topic. So a flood of large bad records costs the readers of letters little.
 */
import { createHash } from 'node:crypto';
import { deadLetters, type DeadLetter, type Stage } from '#contracts/dead-letters.js';
import type { PipelineError } from '#contracts/pipeline-error.js';
import { activeSpan } from '#service/spans.js';
import type { Publisher } from './publisher.js';
import { traceparentOf } from './trace-headers.js';

export interface RecordOrigin {
  topic: string;
  partition: number;
  offset: string;
  key: Buffer | null;
  value: Buffer | null;
}

/** The object or utterance of the record, and the settings under which it failed, as far as the stage knows them. */
export type Subject = Pick<DeadLetter, 'objectKey' | 'utteranceId' | 'version' | 'settingsHash'>;

/** Name of the state of the object in an error's context. */
const objectStateOf = ({ context }: PipelineError): string | undefined =>
  typeof context['objectState'] === 'string' ? context['objectState'] : undefined;

const keptValueBytes = 16_384;
const keptKeyBytes = 2_048;
const keptMessageChars = 4_000;
/** An object key has at most 1,024 bytes. A longer name is no key, may be as long as a record, and is cut. */
const longestName = 2_048;

export class DeadLetterOffice {
  constructor(
    private readonly publisher: Pick<Publisher, 'publish'>,
    readonly stage: Stage,
    private readonly onBuried: (letter: DeadLetter) => void = () => undefined,
  ) {}

  /** Writes a letter; resolves when it is durable. Only then may the record's offset be committed. */
  async writeLetter(origin: RecordOrigin, subject: Subject, error: PipelineError): Promise<void> {
    const letter: DeadLetter = {
      stage: this.stage,
      code: error.code,
      message: shortened(error.message),
      origin: { topic: origin.topic, partition: origin.partition, offset: origin.offset, ...beginningOf(origin) },
      ...withoutLongNames({ ...subject, objectState: objectStateOf(error) }),
      ...(error.context['rowAlone'] === true && { rowAlone: true }),
      traceparent: traceparentOf(activeSpan().spanContext()),
      failedAt: new Date().toISOString(),
    };
    await this.publisher.publish(deadLetters, letter);
    this.onBuried(letter);
  }
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

function withoutLongNames<Names extends Record<string, string | undefined>>(subject: Names): Partial<Names> {
  const short = Object.entries(subject).filter(([, name]) => name === undefined || name.length <= longestName);
  return Object.fromEntries(short) as Partial<Names>;
}
