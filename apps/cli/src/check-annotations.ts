/**
 * Checks the annotations of a folder before `put` sends anything. It reads them as ingest will, and warns of values that give
 * no label and of rows that match no recording.
 *
 * It does not promise that ingest finds the same: the corpus may have other recordings in the bucket.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { CorpusReader } from '#corpora/corpus-reader.js';
import { type CorpusOptions, parseCorpusOptions } from '#corpora/corpus-options.js';
import { annotates, optionsPath, readerNamed, recogniseReaders } from '#corpora/corpus-readers.js';
import { readAnnotations, rowWarnings } from '#corpora/read-annotations.js';
import { counted } from './human-units.js';
import type { PutPlan } from './plan-put.js';

/** `put` does not check larger annotations. */
const mostBytes = 64e6;
const mostRemarks = 5;
const mostRefused = 3;

/** @param reader the choice of `--reader` @returns warnings as sentences; a file that cannot be read is reported later, when it is sent */
export function annotationWarnings(folder: string, plan: PutPlan, reader?: string): string[] {
  try {
    return warningsOf(folder, plan, reader);
  } catch (error) {
    if (error instanceof PipelineError) return [`ingest will refuse these annotations: ${error.message}`];
    if (error instanceof Error && 'syscall' in error) return [];
    throw error;
  }
}

function warningsOf(folder: string, { annotations, recordings, archives }: PutPlan, chosen?: string): string[] {
  const read = (path: string): Uint8Array => readFileSync(join(folder, path));
  const options: CorpusOptions = annotations.includes(optionsPath) ? parseCorpusOptions(optionsPath, read(optionsPath)) : {};
  const reader = readerOf([...annotations, ...recordings], annotations.includes(optionsPath) ? options.reader : chosen);
  if (!reader) return [];
  const files = new Map(annotations.filter((path) => annotates(reader, path)).map((path): [string, Uint8Array] => [path, read(path)]));
  const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  if (bytes > mostBytes) return ['the annotations are over 64 MB together: put does not check them, ingest will'];
  const found = readAnnotations(reader, files, options);
  const warnings = [...found.warnings, ...remarksOf(found.remarks)];
  if (recordings.length === 0) return warnings;
  found.rows?.know(recordings);
  warnings.push(...refusedRows(found.annotationOf, recordings));
  // A row may belong to a recording in an archive.
  return archives.length === 0 ? [...warnings, ...rowWarnings(found)] : warnings;
}

function readerOf(paths: string[], chosen: string | undefined): CorpusReader | undefined {
  if (chosen) return readerNamed(chosen);
  const [first, ...more] = recogniseReaders(paths);
  return more.length === 0 ? first : undefined;
}

function remarksOf(remarks: Readonly<Record<string, number>>): string[] {
  const all = Object.entries(remarks);
  if (all.length === 0) return [];
  const first = all.slice(0, mostRemarks).map(([reason, count]) => `${count} × ${reason}`);
  return [`annotations that give no label: ${first.join(', ')}${all.length > mostRemarks ? ', …' : ''}`];
}

function refusedRows(annotationOf: (path: string) => unknown, recordings: readonly string[]): string[] {
  const refused: string[] = [];
  for (const path of recordings) {
    try {
      annotationOf(path);
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
      refused.push(error.message);
    }
  }
  if (refused.length === 0) return [];
  const more = refused.length > mostRefused ? ' …' : '';
  return [
    `ingest will refuse ${counted(refused.length, 'recording')} because of their rows: ${refused.slice(0, mostRefused).join(' ')}${more}`,
  ];
}
