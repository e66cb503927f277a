/**
 * Copies a folder into a corpus of the bucket: annotations first, so that recordings find their labels; what is there
 * already, byte for byte, is skipped, so that a put that was cut short goes on where it was.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { corpusKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { isAnnotationPath, optionsPath } from '#corpora/corpus-readers.js';
import type { ObjectStore } from '#storage/object-store.js';

export interface PutProgress {
  files: number;
  done: number;
  skipped: number;
  bytes: number;
  bytesDone: number;
}

export interface PutOptions {
  corpus: string;
  /** Written into the corpus's options, unless the folder brings its own corpus.json. */
  reader?: string;
  onProgress?: (progress: PutProgress) => void;
}

const uploadsAtOnce = 8;

/** @throws PipelineError CONFIG_INVALID for a folder that is not there or empty, or a name that cannot be a corpus's */
export async function putFolder(store: ObjectStore, folder: string, options: PutOptions): Promise<PutProgress> {
  const { corpus, reader, onProgress } = options;
  if (!/^[A-Za-z0-9_][\w.-]*$/.test(corpus))
    throw new PipelineError(
      'CONFIG_INVALID',
      `"${corpus}" cannot be a corpus's name: letters, digits, - _ and . only, and a letter, digit or _ first`,
    );
  const paths = filesUnder(folder);
  const progress: PutProgress = { files: paths.length, done: 0, skipped: 0, bytes: 0, bytesDone: 0 };
  for (const path of paths) progress.bytes += statSync(join(folder, path)).size;
  if (reader && !paths.includes(optionsPath)) await store.put(corpusKey(corpus, optionsPath), JSON.stringify({ reader }));
  const there = new Map<string, string>();
  for await (const { key, etag } of store.list(corpusKey(corpus, ''))) there.set(key, etag);
  const put = async (path: string): Promise<void> => {
    const bytes = readFileSync(join(folder, path));
    const key = corpusKey(corpus, path.split(sep).join('/'));
    // The ETag of an object put in one piece is the MD5 of its bytes; where a store does otherwise, nothing is skipped.
    if (there.get(key) === createHash('md5').update(bytes).digest('hex')) progress.skipped++;
    else await store.put(key, bytes);
    progress.done++;
    progress.bytesDone += bytes.byteLength;
    onProgress?.(progress);
  };
  for (const path of paths.filter(isAnnotationPath)) await put(path);
  const rest = paths.filter((path) => !isAnnotationPath(path));
  const uploaders = Array.from({ length: uploadsAtOnce }, async () => {
    for (let path = rest.shift(); path !== undefined; path = rest.shift()) await put(path);
  });
  await Promise.all(uploaders);
  return progress;
}

/** Paths inside the folder, hidden files left out, in order. */
export function filesUnder(folder: string): string[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw new PipelineError('CONFIG_INVALID', `${folder} is not a folder`);
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
  if (paths.length === 0) throw new PipelineError('CONFIG_INVALID', `${folder} is empty`);
  return paths;
}
