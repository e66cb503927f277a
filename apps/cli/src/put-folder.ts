/**
 * Copies a folder into a corpus of the bucket, annotations first so that recordings find their labels. It skips files whose
 * bytes are in the bucket already, so an interrupted put continues where it stopped.
 *
 * If the store does not answer, the put waits for it. A file that cannot be read, or whose path cannot be a key, does not stop
 * the others; the put reports it at the end. It does not promise to skip files if the store's ETags are no checksums
 * (encryption with a key of one's own). It deletes nothing from the bucket that is no longer in the folder.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { corpusKey, refuseBadKey } from '#contracts/object-keys.js';
import { type ErrorCode, PipelineError } from '#contracts/pipeline-error.js';
import { isArchivePath, isAudioPath } from '#corpora/audio-paths.js';
import { parseCorpusOptions } from '#corpora/corpus-options.js';
import { isAnnotationPath, optionsPath } from '#corpora/corpus-readers.js';
import type { ObjectHead, ObjectStore } from '#storage/object-store.js';
import { expectedEtag, uploadFile } from '#storage/upload-file.js';
import { retrying } from '#streaming/retry.js';
import { annotationWarnings } from './check-annotations.js';
import { findFiles, type FoundFile, type PathProblem } from './find-files.js';
import { fileWarnings, planPut, type PutPlan } from './plan-put.js';

export interface PutProgress {
  files: number;
  /** Files sent, skipped or failed. */
  done: number;
  skipped: number;
  bytes: number;
  /** Bytes sent; skipped files do not count. */
  bytesSent: number;
  bytesSkipped: number;
  failed: PathProblem[];
  /** The reason why the put waits; null while it sends. */
  waitingFor: string | null;
}

export interface PutOptions {
  corpus: string;
  /** The reader to write into the corpus's corpus.json, unless the folder has its own. */
  reader?: string;
  /** Compare only, and send nothing. */
  dryRun?: boolean;
  /** Once it is aborted, no further file is begun. */
  signal?: AbortSignal;
  onPlan?: (plan: PutPlan) => void;
  onProgress?: (progress: PutProgress) => void;
}

const uploadsAtOnce = 8;

/** @throws PipelineError CONFIG_INVALID if the folder does not exist or has no file for ingest, or the name cannot be a corpus's */
export async function putFolder(store: ObjectStore, folder: string, options: PutOptions): Promise<PutProgress> {
  const { corpus, reader, dryRun = false, signal } = options;
  requireCorpusName(corpus);
  const found = findFiles(folder);
  const { files, failed } = withUsableKeys(found.files, corpus);
  failed.unshift(...found.unusable.filter(({ path }) => path.endsWith('/') || isTaken(path)));
  const sizes = new Map(files.map(({ path, sizeBytes }) => [path, sizeBytes]));
  const plan = planPut([...sizes.keys()], reader);
  const { annotations, recordings, archives } = plan;
  const sent = [...annotations, ...recordings, ...archives];
  if (sent.length === 0) {
    const reasons = [...failed.map(({ path, why }) => `${path}: ${why}`).slice(0, mostReasons), ...plan.warnings];
    throw new PipelineError('CONFIG_INVALID', `${folder} has nothing that ingest takes. ${reasons.join('; ')}`);
  }
  plan.warnings.push(...fileWarnings(folder, sent, { sizes, passedOver: found.passedOver }), ...annotationWarnings(folder, plan, reader));
  options.onPlan?.(plan);

  const bytes = sent.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0);
  const progress: PutProgress = {
    files: sent.length + failed.length,
    done: failed.length,
    skipped: 0,
    bytes,
    bytesSent: 0,
    bytesSkipped: 0,
    failed,
    waitingFor: null,
  };
  const report = (change: Partial<PutProgress>): void => {
    Object.assign(progress, change);
    options.onProgress?.(progress);
  };
  const patiently = <Result>(work: () => Promise<Result>): Promise<Result> =>
    retrying(work, { signal, onRetry: ({ message }) => report({ waitingFor: message }) });

  if (reader && !annotations.includes(optionsPath) && !dryRun) {
    await patiently(() => chooseReader(store, corpus, reader));
  }
  const there = await patiently(() => objectsOf(store, corpus));
  const put = async (path: string): Promise<void> => {
    const size = sizes.get(path) ?? 0;
    const key = corpusKey(corpus, path);
    const file = join(folder, path);
    const found = there.get(key);
    const sentBefore = progress.bytesSent;
    try {
      const before = statSync(file);
      if (found?.sizeBytes === size && found.etag === (await expectedEtag(file))) {
        return report({ skipped: progress.skipped + 1, bytesSkipped: progress.bytesSkipped + size });
      }
      if (dryRun) return;
      let ofThisFile = 0;
      const onBytes = (count: number) => {
        ofThisFile += count;
        report({ bytesSent: progress.bytesSent + count, waitingFor: null });
      };
      await patiently(() => {
        progress.bytesSent -= ofThisFile; // takes back the bytes of the failed try
        ofThisFile = 0;
        return uploadFile(store, key, file, { signal, onBytes });
      });
      const after = statSync(file);
      if (after.size !== before.size || after.mtimeMs !== before.mtimeMs)
        throw new Error('the file changed while it was sent. Run put again');
    } catch (error) {
      if (!isAboutTheFile(error)) throw error;
      progress.bytesSent = Math.max(sentBefore, progress.bytesSent);
      progress.failed.push({ path, why: error.message });
    } finally {
      report({ done: progress.done + 1 });
    }
  };
  for (const [group, atOnce] of [
    [annotations, uploadsAtOnce],
    [recordings, uploadsAtOnce],
    [archives, 1],
  ] as const) {
    const waiting = [...group];
    const putters = Array.from({ length: atOnce }, async () => {
      for (let path = waiting.shift(); path !== undefined && !signal?.aborted; path = waiting.shift()) await put(path);
    });
    await Promise.all(putters);
  }
  return progress;
}

/** True for errors of one file only: missing, forbidden, changed while it was read, refused by the store. */
function isAboutTheFile(error: unknown): error is Error {
  if (error instanceof PipelineError) return errorsOfOneObject.has(error.code);
  return error instanceof Error && ((error.name !== 'AbortError' && 'syscall' in error) || error.message.startsWith('the file '));
}

const errorsOfOneObject = new Set<ErrorCode>(['OBJECT_CHECKSUM_MISMATCH', 'OBJECT_KEY_INVALID', 'OBJECT_REFUSED']);
const mostReasons = 5;

const isTaken = (path: string): boolean => isAnnotationPath(path) || isAudioPath(path) || isArchivePath(path);

/** @returns the files whose paths can be keys, and the failures: files that ingest would take if their paths could be keys */
function withUsableKeys(files: readonly FoundFile[], corpus: string): { files: FoundFile[]; failed: PathProblem[] } {
  const failed: PathProblem[] = [];
  const usable = files.filter(({ path }) => {
    try {
      refuseBadKey(corpusKey(corpus, path));
      return true;
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
      if (isTaken(path)) failed.push({ path, why: `${error.message}. Rename the file` });
      return !isTaken(path);
    }
  });
  return { files: usable, failed };
}

/** Keeps all other options of the corpus. @throws PipelineError CORPUS_OPTIONS_INVALID if its options cannot be read */
async function chooseReader(store: ObjectStore, corpus: string, reader: string): Promise<void> {
  const key = corpusKey(corpus, optionsPath);
  const found = await store.find(key);
  const { reader: before } = found ? parseCorpusOptions(key, found.bytes) : {};
  if (before === reader) return;
  const options = found ? (JSON.parse(new TextDecoder().decode(found.bytes)) as object) : {};
  await store.put(key, JSON.stringify({ ...options, reader }));
}

async function objectsOf(store: ObjectStore, corpus: string): Promise<Map<string, ObjectHead>> {
  const there = new Map<string, ObjectHead>();
  for await (const head of store.list(corpusKey(corpus, ''))) there.set(head.key, head);
  return there;
}

function requireCorpusName(corpus: string): void {
  if (/^[A-Za-z0-9_][\w.-]*$/.test(corpus)) return;
  throw new PipelineError(
    'CONFIG_INVALID',
    `"${corpus}" cannot be the name of a corpus. Expected letters, digits, - _ and . with a letter, digit or _ first.`,
  );
}
