/**
 * Dead letters: records that can never succeed, from every stage, with the reason. A letter holds the beginning of its
 * record. The whole record stays on its own topic for as long as that topic keeps it.
 */
import { z } from 'zod';
import { errorCodes, type ErrorCode } from './pipeline-error.js';
import { retained, dayMs, type Topic } from './topic.js';

export const stages = ['ingest', 'features', 'trainer', 'evaluator', 'predictor'] as const;
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
        valueBase64: z.string().nullable().describe('The first bytes of the value, or the whole value if `cut` is absent'),
        cut: z
          .object({ valueSizeBytes: z.number().int().nonnegative(), valueSha256: z.string().length(64) })
          .optional()
          .describe('Size and digest of the whole value. Present only where the letter holds the beginning of the value.'),
      })
      .describe('Topic, partition and offset of the record, and its first bytes'),
    objectKey: z.string().optional(),
    utteranceId: z.string().optional(),
    version: z.string().optional(),
    settingsHash: z.string().length(16).optional().describe('Feature settings under which it failed. It may succeed under other settings.'),
    objectState: z
      .string()
      .optional()
      .describe('State of the object and its annotations when ingest refused it. The same state gets no second letter.'),
    rowAlone: z.literal(true).optional().describe('Only the row of this recording is wrong. The other annotations of its corpus are used.'),
    traceparent: z
      .string()
      .optional()
      .describe('W3C trace context of the failed attempt, if that was sampled. A replay continues the same trace.'),
    failedAt: z.iso.datetime(),
  })
  .meta({ title: 'DeadLetter', description: 'A record that can never succeed, with its first bytes and the reason' });
export type DeadLetter = z.infer<typeof deadLetterSchema>;

/**
 * Names the subject that a failure counts against: the version of an utterance under the current settings, else the
 * object, else the record. A recording keeps its count when its record comes again at another offset.
 */
export function failureSubject(
  subject: Pick<DeadLetter, 'utteranceId' | 'objectKey' | 'version' | 'settingsHash'>,
  origin: Pick<DeadLetter['origin'], 'topic' | 'partition' | 'offset'>,
): string {
  const { utteranceId, objectKey, version = '', settingsHash = '' } = subject;
  const name = utteranceId ?? objectKey;
  return name === undefined ? `${origin.topic}/${origin.partition}/${origin.offset}` : [name, version, settingsHash].join('|');
}

/** Dead letters with the same identity count once, however often Kafka delivered their record. */
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
  description: 'Records that can never succeed, with the reason. `undertone replay` tries each of them again.',
  producers: ['ingest', 'features', 'evaluator'],
  consumers: ['ingest', 'trainer', 'evaluator', 'predictor', 'cli'],
  schema: deadLetterSchema,
  keySchema: z.string().nullable().describe('Utterance id, else object key, where the stage knows it'),
  keyOf: (letter) => letter.utteranceId ?? letter.objectKey ?? null,
  storage: retained(1, 30 * dayMs),
};
