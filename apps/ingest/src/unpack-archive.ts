/**
 * An archive that was dropped into a corpus becomes objects of the corpus, beside it: `corpora/a/more.zip` with `x/1.wav` gives
 * `corpora/a/x/1.wav`, as unpacking there would. Recordings and annotations only.
 *
 * Delivery: done once for each ETag of the archive, which a marker object remembers; a crash in between begins anew, and
 * what is there already is not put again. The caller hints at what was put; the listing
 * finds what it could not.
 *
 * Does not promise all or nothing: an archive that turns out bad half-way leaves what came before, and a dead letter.
 * Deleting the archive deletes nothing else.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { corpusKey, unpackedArchiveKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { isAudioPath } from '#corpora/audio-paths.js';
import { isAnnotationPath } from '#corpora/corpus-readers.js';
import type { Logger } from '#service/logger.js';
import type { ObjectHead, ObjectStore } from '#storage/object-store.js';
import { type ArchiveLimits, readArchive } from './read-archive.js';

export interface UnpackOptions {
  corpus: string;
  limits: ArchiveLimits;
  logger: Logger;
}

/**
 * @returns the keys that were put; null if this state of the archive was unpacked before
 * @throws PipelineError ARCHIVE_INVALID, ARCHIVE_LIMIT_EXCEEDED, OBJECT_GONE, STORAGE_UNAVAILABLE
 */
export async function unpackArchive(store: ObjectStore, archive: ObjectHead, options: UnpackOptions): Promise<string[] | null> {
  const { corpus, limits, logger } = options;
  const marker = unpackedArchiveKey(archive.key);
  if (((await store.findJson(marker)) as { etag: string } | null)?.etag === archive.etag) return null;
  if (archive.sizeBytes > limits.totalBytes) {
    throw new PipelineError('ARCHIVE_LIMIT_EXCEEDED', `The archive alone has ${(archive.sizeBytes / 1e9).toFixed(1)} GB`);
  }
  const folder = await mkdtemp(join(tmpdir(), 'undertone-archive-'));
  const keys: string[] = [];
  try {
    const file = join(folder, 'archive');
    await store.download(archive.key, file);
    // Annotations first, so that recordings find their labels.
    for (const wanted of [isAnnotationPath, isAudioPath]) {
      for await (const { path, bytes } of readArchive(file, limits, wanted)) {
        const key = corpusKey(corpus, path);
        // The ETag of an object put in one piece is the MD5 of its bytes; where a store does otherwise it is put again.
        const known = await store.head(key);
        if (known?.etag !== createHash('md5').update(bytes).digest('hex')) await store.put(key, bytes);
        keys.push(key);
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  await store.put(marker, JSON.stringify({ etag: archive.etag, entries: keys.length, unpackedAt: new Date().toISOString() }));
  logger.info({ archive: archive.key, entries: keys.length }, 'unpacked an archive');
  return keys;
}
