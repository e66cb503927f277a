/**
 * Records that can never succeed, from every stage, with the reason. A letter holds the beginning of its record; the whole
 * record stays on the topic that it came from for as long as that topic keeps it.
 */
import { z } from 'zod';
import { errorCodes, type ErrorCode } from './pipeline-error.js';
import { retained, dayMs, type Topic } from './topic.js';

export const stages = ['ingest', 'features', 'trainer', 'evaluator'] as const;
export type Stage = (typeof stages)[number];

export const deadLetterSchema = z
  .object({
    stage: z.enum(stages),
    code: z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]),
    message: z.string(),
    origin: z
      .object({
        topic: z.string(),
        partition: z.number().int(),
        offset: z.string(),
        keyBase64: z.string().nullable(),
        valueBase64: z.string().nullable().describe('The first bytes of the value; all of them where `cut` is missing'),
        cut: z
          .object({ valueSizeBytes: z.number().int().nonnegative(), valueSha256: z.string().length(64) })
          .optional()
          .describe('Size and digest of the whole value, where the letter holds only its beginning'),
      })
      .describe('Where the record stood, and how it began'),
    objectKey: z.string().optional(),
    utteranceId: z.string().optional(),
    version: z.string().optional(),
    settingsHash: z.string().length(16).optional().describe('Feature settings under which it failed; under others it may succeed'),
    traceparent: z
      .string()
      .optional()
      .describe('W3C trace context of the attempt that failed, where it was sampled; another try goes on in its trace'),
    failedAt: z.iso.datetime(),
  })
  .meta({ title: 'DeadLetter', description: 'A record that can never succeed, how it began, and why' });
export type DeadLetter = z.infer<typeof deadLetterSchema>;

/**
 * To whom failures are counted: the version of an utterance, under the settings at hand, else the object, else the record.
 * The same recording keeps its count when its record comes again at another offset.
 */
export function failureSubject(
  subject: Pick<DeadLetter, 'utteranceId' | 'objectKey' | 'version' | 'settingsHash'>,
  origin: Pick<DeadLetter['origin'], 'topic' | 'partition' | 'offset'>,
): string {
  const { utteranceId, objectKey, version = '', settingsHash = '' } = subject;
  const name = utteranceId ?? objectKey;
  return name === undefined ? `${origin.topic}/${origin.partition}/${origin.offset}` : [name, version, settingsHash].join('|');
}

/** Dead letters with the same identity count once, however often their record was delivered. */
export const deadLetterIdentity = (letter: DeadLetter): string =>
  [
    letter.stage,
    letter.utteranceId ?? letter.objectKey ?? `${letter.origin.topic}/${letter.origin.partition}/${letter.origin.offset}`,
    letter.version ?? '',
    letter.code,
  ].join('|');

export const deadLetters: Topic<DeadLetter, 'ingest' | 'features' | 'evaluator'> = {
  noun: 'dead-letters',
  version: 1,
  description: 'What could never succeed, and why. `undertone replay` gives each another try.',
  producers: ['ingest', 'features', 'evaluator'],
  consumers: ['ingest', 'trainer', 'evaluator', 'cli'],
  schema: deadLetterSchema,
  keySchema: z.string().nullable().describe('Utterance id, else object key, where the stage knows it'),
  keyOf: (letter) => letter.utteranceId ?? letter.objectKey ?? null,
  storage: retained(1, 30 * dayMs),
};
