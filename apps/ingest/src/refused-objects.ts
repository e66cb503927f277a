/**
 * Remembers, across restarts, which objects cannot be ingested in which state, so that a listing does not hint at them
 * again. The dead letters of ingest are the memory: a hint of a listing carries the state that it saw, and the dead letter
 * carries the hint.
 *
 * A letter that only says how long the outside world was away (RETRIES_EXHAUSTED) is no reason: the next start tries again.
 * Letters are kept for 30 days; after that a listing hints at such an object once more, and it gets another letter.
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

  /** @param currentSince when the object's current record was written, if it has one: older refusals do not count */
  has(key: string, state: string, currentSince: string | undefined): boolean {
    const refusal = this.byKey.get(key);
    return refusal?.state === state && (currentSince === undefined || Date.parse(currentSince) <= refusal.atMs);
  }

  /** Forgets objects that are no longer in the bucket. */
  keepOnly(present: ReadonlySet<string>): void {
    for (const key of this.byKey.keys()) if (!present.has(key)) this.byKey.delete(key);
  }
}

/** Null where the letter's record is no hint, such as a bucket event. */
function hintOf(valueBase64: string) {
  try {
    const value = parseOutsideJson(Buffer.from(valueBase64, 'base64'), { maxBytes: maxHintBytes, maxDepth: usualMaxDepth });
    return objectHintSchema.safeParse(value).data ?? null;
  } catch {
    return null;
  }
}
