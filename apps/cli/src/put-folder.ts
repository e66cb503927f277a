/**
 * Copies a folder into a corpus of the bucket: annotations first, so that recordings find their labels; what is there
 * already, byte for byte, is skipped, so that a put that was cut short goes on where it was.
 *
 * A store that does not answer for a while is waited for; a file that cannot be read is told at the end, and the others go
 * on. Does not promise to skip anything where a store's ETags are no checksums (encryption by a key of one's own), nor to
 * delete what is no longer in the folder.
 */
import { readdirSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { corpusKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { optionsPath } from '#corpora/corpus-readers.js';
import type { ObjectHead, ObjectStore } from '#storage/object-store.js';
import { expectedEtag, uploadFile } from '#storage/upload-file.js';
import { retrying } from '#streaming/retry.js';
import { planPut, type PutPlan } from './plan-put.js';

export interface PutProgress {
  files: number;
  /** Sent, found there or failed. */
  done: number;
  skipped: number;
  bytes: number;
  /** Sent, of files that are not skipped. */
  bytesSent: number;
  bytesSkipped: number;
  failed: { path: string; why: string }[];
  /** Why nothing moves just now. */
  waitingFor: string | null;
}

export interface PutOptions {
  corpus: string;
  /** Written into the corpus's options, unless the folder brings its own corpus.json. */
  reader?: string;
  /** Compares, and sends nothing. */
  dryRun?: boolean;
  /** No further file is begun once it is aborted. */
  signal?: AbortSignal;
  onPlan?: (plan: PutPlan) => void;
  onProgress?: (progress: PutProgress) => void;
}

const uploadsAtOnce = 8;

/** @throws PipelineError CONFIG_INVALID for a folder that is not there or has nothing for ingest, or a name that cannot be a corpus's */
export async function putFolder(store: ObjectStore, folder: string, options: PutOptions): Promise<PutProgress> {
  const { corpus, reader, dryRun = false, signal } = options;
  requireCorpusName(corpus);
  const plan = planPut(pathsUnder(folder), reader);
  const { annotations, recordings, archives } = plan;
  const sent = [...annotations, ...recordings, ...archives];
  if (sent.length === 0) throw new PipelineError('CONFIG_INVALID', `${folder} has nothing that ingest takes. ${plan.warnings.join('; ')}`);
  options.onPlan?.(plan);

  const sizes = new Map(sent.map((path) => [path, statSync(join(folder, path)).size]));
  const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const progress: PutProgress = {
    files: sent.length,
    done: 0,
    skipped: 0,
    bytes,
    bytesSent: 0,
    bytesSkipped: 0,
    failed: [],
    waitingFor: null,
  };
  const report = (change: Partial<PutProgress>) => options.onProgress?.(Object.assign(progress, change));
  const patiently = <Result>(work: () => Promise<Result>): Promise<Result> =>
    retrying(work, { signal, onRetry: ({ message }) => report({ waitingFor: message }) });

  if (reader && !annotations.includes(optionsPath) && !dryRun) {
    await patiently(() => store.put(corpusKey(corpus, optionsPath), JSON.stringify({ reader })));
  }
  const there = await patiently(() => objectsOf(store, corpus));
  const put = async (path: string): Promise<void> => {
    const size = sizes.get(path) ?? 0;
    const key = corpusKey(corpus, path);
    const file = join(folder, path);
    const found = there.get(key);
    const sentBefore = progress.bytesSent;
    try {
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
        progress.bytesSent -= ofThisFile; // of a try that failed
        ofThisFile = 0;
        return uploadFile(store, key, file, { signal, onBytes });
      });
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

/** Missing, forbidden, changed while it was read: what another file need not suffer from. */
function isAboutTheFile(error: unknown): error is Error {
  if (error instanceof PipelineError) return error.code === 'OBJECT_CHECKSUM_MISMATCH';
  return error instanceof Error && ((error.name !== 'AbortError' && 'syscall' in error) || error.message.startsWith('the file '));
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
    `"${corpus}" cannot be a corpus's name: letters, digits, - _ and . only, and a letter, digit or _ first`,
  );
}

/** Of all files inside the folder and of links to files, with slashes, in order; hidden ones are left out. */
function pathsUnder(folder: string): string[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw new PipelineError('CONFIG_INVALID', `${folder} is not a folder`);
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => ({ entry, path: join(entry.parentPath, entry.name) }))
    .filter(({ entry, path }) => entry.isFile() || (entry.isSymbolicLink() && statSync(path, { throwIfNoEntry: false })?.isFile()))
    .map(({ path }) => relative(folder, path).split(sep).join('/'))
    .filter((path) => !/(?:^|\/)\./.test(path))
    .sort();
}
