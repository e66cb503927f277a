/** Reads the annotation files of a corpus with its reader and reports problems in them. Ingest, `put` and experiments use it. */
import { decodeAnnotation } from './annotation-text.js';
import type { CorpusAnnotations, CorpusReader } from './corpus-reader.js';
import type { CorpusOptions } from './corpus-options.js';

export interface ReadAnnotations extends CorpusAnnotations {
  /** Sentences about the files themselves. */
  warnings: string[];
}

/**
 * @param files the annotation files that exist: path to bytes
 * @throws PipelineError MANIFEST_INVALID if a file cannot be read as a whole
 */
export function readAnnotations(
  reader: CorpusReader,
  files: ReadonlyMap<string, Uint8Array>,
  { labels, classes }: Pick<CorpusOptions, 'labels' | 'classes'>,
): ReadAnnotations {
  const decoded = [...files].map(([file, bytes]) => ({ file, ...decodeAnnotation(file, bytes) }));
  const annotations = reader.read(new Map(decoded.map(({ file, text }) => [file, text])), { ownWords: labels, classes });
  return { ...annotations, warnings: decoded.flatMap(({ warning }) => warning ?? []) };
}

/** Most rows that a warning names. */
const mostRows = 3;

/** @returns sentences about rows that match no recording, or that spell a recording's path in another way */
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
      `${alike.length} of ${count} rows spell the path of a recording in another way, and their labels are used: ${rows.describe(first.row)} is taken for ${JSON.stringify(first.path)}`,
    );
  }
  return warnings;
}
