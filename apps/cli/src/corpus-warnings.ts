/** Reads the warnings about corpora that ingest left in the bucket at its last listing. */
import { type CorpusWarnings, corpusWarningsPrefix, corpusWarningsSchema, parseCorpusWarningsKey } from '#contracts/corpus-warnings.js';
import { parseOutsideJson, usualMaxDepth } from '#contracts/outside-json.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Objects } from '#storage/object-store.js';

/** The most corpora whose warnings are read. */
const mostCorpora = 100;
const maxBytes = 1_000_000;

/** @returns the warnings that can be read. Unreadable ones are left out, so that `status` does not fail because of them. */
export async function readCorpusWarnings(store: Pick<Objects, 'find' | 'list'>): Promise<CorpusWarnings[]> {
  const found: CorpusWarnings[] = [];
  for await (const { key } of store.list(corpusWarningsPrefix)) {
    if (parseCorpusWarningsKey(key) === null) continue;
    const warnings = parsed((await store.find(key))?.bytes);
    if (warnings) found.push(warnings);
    if (found.length >= mostCorpora) break;
  }
  return found;
}

function parsed(bytes: Uint8Array | undefined): CorpusWarnings | undefined {
  if (!bytes) return undefined;
  try {
    return corpusWarningsSchema.safeParse(parseOutsideJson(bytes, { maxBytes, maxDepth: usualMaxDepth })).data;
  } catch (error) {
    if (error instanceof PipelineError) return undefined;
    throw error;
  }
}
