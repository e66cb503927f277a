/**
 * Reads the annotation files of one corpus as text, under limits: their sizes before a byte is fetched, then lines and
 * encoding. A file beyond a limit is an error of its corpus alone.
 *
 * Does not promise that the text means anything: that is the reader's to say (libs/corpora).
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ObjectHead, Objects } from '#storage/object-store.js';

export interface AnnotationLimits {
  /** All annotation files of one corpus together. */
  totalBytes: number;
  /** Of one file. */
  lines: number;
  /** Bytes of one line; JSON has its own limits, where it is parsed. */
  lineBytes: number;
}

export const defaultAnnotationLimits: AnnotationLimits = { totalBytes: 64e6, lines: 2_000_000, lineBytes: 1_000_000 };

/**
 * Refuses files by their stated sizes. Call it before any of them is fetched.
 * @throws PipelineError MANIFEST_INVALID
 */
export function refuseLargeAnnotations(heads: ReadonlyMap<string, ObjectHead>, { totalBytes }: AnnotationLimits): void {
  let sum = 0;
  for (const [path, { sizeBytes }] of heads) {
    sum += sizeBytes;
    if (sum <= totalBytes) continue;
    const all = heads.size === 1 ? '' : ' with the annotation files before it';
    throw new PipelineError(
      'MANIFEST_INVALID',
      `${path}${all} has ${megabytes(sum)} MB; annotations of a corpus may have ${megabytes(totalBytes)} MB. Split the corpus, or raise MANIFEST_MAX_MB`,
    );
  }
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

/** @returns path to bytes. @throws PipelineError OBJECT_GONE, STORAGE_UNAVAILABLE */
export async function fetchAnnotations(store: Objects, heads: ReadonlyMap<string, ObjectHead>): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const [path, { key }] of heads) files.set(path, (await store.get(key)).bytes);
  return files;
}

/** @throws PipelineError MANIFEST_INVALID with the file and the line */
export function decodeAnnotations(files: ReadonlyMap<string, Uint8Array>, limits: AnnotationLimits): Map<string, string> {
  return new Map([...files].map(([path, bytes]) => [path, decode(path, bytes, limits)]));
}

function decode(path: string, bytes: Uint8Array, { lines, lineBytes }: AnnotationLimits): string {
  let line = 1;
  let start = 0;
  for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, start)) {
    if (!path.endsWith('.jsonl')) refuseLongLine(path, line, end - start, lineBytes);
    start = end + 1;
    line++;
    if (line > lines + 1) throw new PipelineError('MANIFEST_INVALID', `${path} has more than ${lines} lines. Split the corpus`);
  }
  if (!path.endsWith('.jsonl')) refuseLongLine(path, line, bytes.length - start, lineBytes);
  const encoding = encodingOf(bytes);
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (error) {
    const where = encoding === 'utf-8' ? `, line ${firstBadLine(bytes)},` : '';
    throw new PipelineError('MANIFEST_INVALID', `${path}${where} is not ${encoding.toUpperCase()}. Save the file as UTF-8`, {
      cause: error,
    });
  }
}

const newline = 0x0a;

function refuseLongLine(path: string, line: number, length: number, limit: number): void {
  if (length <= limit) return;
  throw new PipelineError('MANIFEST_INVALID', `${path}, line ${line} has ${length} bytes; a line may have ${limit}`);
}

/** Spreadsheets save "Unicode text" as UTF-16 with a byte order mark. */
function encodingOf([first, second]: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  return first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
}

function firstBadLine(bytes: Uint8Array): number {
  let line = 1;
  let start = 0;
  for (let end = bytes.indexOf(newline); end !== -1 && isUtf8(bytes.subarray(start, end)); end = bytes.indexOf(newline, start)) {
    start = end + 1;
    line++;
  }
  return line;
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
