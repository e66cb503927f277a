/**
 * Limits the annotation files of one corpus: their stated sizes before any byte is fetched, then the number and length of their
 * lines. A file beyond a limit fails its own corpus only.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ObjectHead } from '#storage/object-store.js';

export interface AnnotationLimits {
  /** Most bytes of all annotation files of one corpus together. */
  totalBytes: number;
  /** Most lines of one file. */
  lines: number;
  /** Most bytes of one line. The JSON parser has limits of its own. */
  lineBytes: number;
}

export const defaultAnnotationLimits: AnnotationLimits = { totalBytes: 64e6, lines: 2_000_000, lineBytes: 1_000_000 };

/**
 * Refuses files by their stated sizes. Call it before fetching any of them.
 * @throws PipelineError MANIFEST_INVALID
 */
export function refuseLargeAnnotations(heads: ReadonlyMap<string, ObjectHead>, { totalBytes }: AnnotationLimits): void {
  let sum = 0;
  for (const [path, { sizeBytes }] of heads) {
    sum += sizeBytes;
    if (sum <= totalBytes) continue;
    const all = heads.size === 1 ? '' : ' with the annotation files before it';
    throw invalid(
      `${path}${all} has ${megabytes(sum)} MB; annotations of a corpus may have ${megabytes(totalBytes)} MB. Split the corpus, or raise MANIFEST_MAX_MB`,
    );
  }
}

/** @throws PipelineError MANIFEST_INVALID; the message names the file and the line */
export function refuseLongAnnotations(files: ReadonlyMap<string, Uint8Array>, limits: AnnotationLimits): void {
  for (const [path, bytes] of files) refuseLongLines(path, bytes, limits);
}

const newline = 0x0a;

function refuseLongLines(path: string, bytes: Uint8Array, { lines, lineBytes }: AnnotationLimits): void {
  const mostBytes = path.endsWith('.jsonl') ? Infinity : lineBytes;
  let start = 0;
  for (let line = 1; start < bytes.length; line++) {
    if (line > lines) throw invalid(`${path} has more than ${lines} lines. Split the corpus`);
    const newlineAt = bytes.indexOf(newline, start);
    const end = newlineAt === -1 ? bytes.length : newlineAt;
    if (end - start > mostBytes) throw invalid(`${path}, line ${line} has ${end - start} bytes; a line may have ${lineBytes}`);
    start = end + 1;
  }
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
const invalid = (message: string): PipelineError => new PipelineError('MANIFEST_INVALID', message);
