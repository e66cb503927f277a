/** Reads a corpus's annotation files with its reader, and says what was wrong with them: for ingest, `put` and experiments. */
import { decodeAnnotation } from './annotation-text.js';
import type { CorpusAnnotations, CorpusReader } from './corpus-reader.js';
import type { CorpusOptions } from './corpus-options.js';

export interface ReadAnnotations extends CorpusAnnotations {
  /** About the files themselves, as sentences. */
  warnings: string[];
}

/**
 * @param files annotation files that exist: path to bytes
 * @throws PipelineError MANIFEST_INVALID when a file cannot be read as a whole
 */
export function readAnnotations(
  reader: CorpusReader,
  files: ReadonlyMap<string, Uint8Array>,
  { labels }: Pick<CorpusOptions, 'labels'>,
): ReadAnnotations {
  const decoded = [...files].map(([file, bytes]) => ({ file, ...decodeAnnotation(file, bytes) }));
  const annotations = reader.read(new Map(decoded.map(({ file, text }) => [file, text])), { ownWords: labels });
  return { ...annotations, warnings: decoded.flatMap(({ warning }) => warning ?? []) };
}

/** Rows that a warning names. */
const mostRows = 3;

/** @returns sentences about rows that name no recording, or name one in another way than it is written */
export function rowWarnings({ rows }: CorpusAnnotations): string[] {
  if (!rows) return [];
  const { rows: count, unmatched, alike } = rows.matched();
  const warnings: string[] = [];
  if (unmatched.length > 0) {
    const first = unmatched.slice(0, mostRows).map((row) => rows.describe(row));
    const more = unmatched.length > mostRows ? ', …' : '';
    warnings.push(`${unmatched.length} of ${count} rows match no recording, so their labels are not used: ${first.join(', ')}${more}`);
  }
  const [first] = alike;
  if (first) {
    warnings.push(
      `${alike.length} of ${count} rows write their recording in another way, and are used: ${rows.describe(first.row)} is taken for ${JSON.stringify(first.path)}`,
    );
  }
  return warnings;
}
