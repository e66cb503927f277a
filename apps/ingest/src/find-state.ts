/** Reads an object of `state/` that ingest keeps. An unreadable object counts as absent, and its work is done again. */
import type { z } from 'zod';
import { parseOutsideJson, usualMaxDepth } from '#contracts/outside-json.js';
import type { Objects } from '#storage/object-store.js';

const maxStateBytes = 1_000_000;

export async function findState<State>(store: Pick<Objects, 'find'>, key: string, schema: z.ZodType<State>): Promise<State | null> {
  return (await findStateAndEtag(store, key, schema))?.state ?? null;
}

/** @returns the state with its ETag, for a conditional put; null if there is no such object, a null state if it cannot be read */
export async function findStateAndEtag<State>(
  store: Pick<Objects, 'find'>,
  key: string,
  schema: z.ZodType<State>,
): Promise<{ state: State | null; etag: string } | null> {
  const found = await store.find(key);
  if (!found) return null;
  try {
    const parsed = schema.safeParse(parseOutsideJson(found.bytes, { maxBytes: maxStateBytes, maxDepth: usualMaxDepth }));
    return { state: parsed.data ?? null, etag: found.etag };
  } catch {
    return { state: null, etag: found.etag };
  }
}
