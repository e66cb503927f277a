/** Reads the utterance record in a dead letter of features. */
import type { DeadLetter } from '#contracts/dead-letters.js';
import { utteranceIngestedSchema, type UtteranceIngested } from '#contracts/utterances.js';

/** @returns null if the record is not from `utterances` */
export function recordOfLetter({ origin }: DeadLetter): UtteranceIngested | null {
  if (origin.valueBase64 === null) return null;
  const parsed = utteranceIngestedSchema.safeParse(JSON.parse(Buffer.from(origin.valueBase64, 'base64').toString()));
  return parsed.success ? parsed.data : null;
}
