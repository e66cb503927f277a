/**
 * Remembers across restarts which objects cannot be ingested in their present state. An event, changed annotations and a listing may
 * each hint at one bad object; it gets one dead letter, and a later listing does not hint at it again. The dead letters of ingest are
 * the memory: they carry the state that the decision saw, and the hint with the state that a listing saw.
 *
 * A dead letter about an outage (RETRIES_EXHAUSTED) does not count: the next start tries the object again. Dead letters are kept
 * for 30 days. After that a listing hints at the object once more, and it gets another dead letter.
 */
import { createHash } from 'node:crypto';
import type { DeadLetter } from '#contracts/dead-letters.js';
import { objectHintSchema } from '#contracts/object-hints.js';
import { parseOutsideJson, usualMaxDepth } from '#contracts/outside-json.js';
import type { PipelineError } from '#contracts/pipeline-error.js';

interface Refusal {
  /** The state that the decision saw, and the state that a listing saw, if the letters have them. */
  states: readonly string[];
  atMs: number;
}

const maxHintBytes = 16_384;

/** Names the state of an object that is refused: its contents and the error. Another error of the same contents is another state. */
export function refusedState(etag: string | null, error: Pick<PipelineError, 'code' | 'message'>): string {
  const digest = createHash('sha256').update(error.message).digest('hex').slice(0, 8);
  return `${etag ?? '-'} ${error.code} ${digest}`;
}

export class RefusedObjects {
  private readonly byKey = new Map<string, Refusal>();

  apply(letter: DeadLetter): void {
    if (letter.stage !== 'ingest' || letter.code === 'RETRIES_EXHAUSTED' || !letter.objectKey) return;
    const hint = letter.origin.valueBase64 ? hintOf(letter.origin.valueBase64) : null;
    const stateOfListing = hint?.key === letter.objectKey ? hint.state : undefined;
    const states = [letter.objectState, stateOfListing].filter((state) => state !== undefined);
    if (states.length === 0) return;
    const atMs = Date.parse(letter.failedAt);
    if (atMs >= (this.byKey.get(letter.objectKey)?.atMs ?? 0)) this.byKey.set(letter.objectKey, { states, atMs });
  }

  /** @param currentSince time of the object's current record, if it has one; older refusals do not count */
  has(key: string, state: string, currentSince: string | undefined): boolean {
    const refusal = this.byKey.get(key);
    return (
      refusal !== undefined && refusal.states.includes(state) && (currentSince === undefined || Date.parse(currentSince) <= refusal.atMs)
    );
  }

  /** The object is no longer refused. If it is refused again, it gets another letter. */
  forget(key: string): void {
    this.byKey.delete(key);
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
