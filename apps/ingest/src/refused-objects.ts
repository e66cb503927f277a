/**
 * Remembers across restarts which objects cannot be ingested in their present state, so that a listing does not hint at them
 * again. The dead letters of ingest are the memory: a listing's hint carries the state that the listing saw, and the dead letter
 * carries the hint.
 *
 * A dead letter about an outage (RETRIES_EXHAUSTED) does not count: the next start tries the object again. Dead letters are kept
 * for 30 days. After that a listing hints at the object once more, and it gets another dead letter.
 */
import type { DeadLetter } from '#contracts/dead-letters.js';
import { objectHintSchema } from '#contracts/object-hints.js';
import { parseOutsideJson, usualMaxDepth } from '#contracts/outside-json.js';

interface Refusal {
  state: string;
  atMs: number;
}

const maxHintBytes = 16_384;

export class RefusedObjects {
  private readonly byKey = new Map<string, Refusal>();

  apply(letter: DeadLetter): void {
    if (letter.stage !== 'ingest' || letter.code === 'RETRIES_EXHAUSTED' || !letter.origin.valueBase64) return;
    const hint = hintOf(letter.origin.valueBase64);
    if (!hint?.state || hint.key !== letter.objectKey) return;
    const atMs = Date.parse(letter.failedAt);
    if (atMs >= (this.byKey.get(hint.key)?.atMs ?? 0)) this.byKey.set(hint.key, { state: hint.state, atMs });
  }

  /** @param currentSince time of the object's current record, if it has one; older refusals do not count */
  has(key: string, state: string, currentSince: string | undefined): boolean {
    const refusal = this.byKey.get(key);
    return refusal?.state === state && (currentSince === undefined || Date.parse(currentSince) <= refusal.atMs);
  }

  /** Drops objects that are no longer in the bucket. */
  keepOnly(present: ReadonlySet<string>): void {
    for (const key of this.byKey.keys()) if (!present.has(key)) this.byKey.delete(key);
  }
}

/** @returns null if the letter's record is not a hint but, for example, a bucket event */
function hintOf(valueBase64: string) {
  try {
    const value = parseOutsideJson(Buffer.from(valueBase64, 'base64'), { maxBytes: maxHintBytes, maxDepth: usualMaxDepth });
    return objectHintSchema.safeParse(value).data ?? null;
  } catch {
    return null;
  }
}
