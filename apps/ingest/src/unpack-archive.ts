/**
 * Puts the recordings and annotations of an archive into its corpus, beside the archive: `corpora/a/more.zip` with `x/1.wav`
 * gives `corpora/a/x/1.wav`. If one folder contains everything, its annotations go to the top of the corpus (archive-root.ts),
 * unless the corpus has other annotations there. It puts several entries at once, so that a slow store costs one round trip for a
 * window of entries.
 *
 * Delivery: entries are put and hinted at in the archive's order, one window at a time. The caller stores the number of finished
 * entries, and passes it in after a restart. Putting an entry twice changes nothing.
 *
 * It does not promise all or nothing: an archive that fails half-way leaves the earlier entries and a dead letter. Deleting the
 * archive deletes none of its entries.
 */
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { corpusKey, refuseBadKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { isAudioPath } from '#corpora/audio-paths.js';
import { isAnnotationPath } from '#corpora/corpus-readers.js';
import type { Logger } from '#service/logger.js';
import type { ObjectStore } from '#storage/object-store.js';
import { retrying } from '#streaming/retry.js';
import { makeArchiveFolder } from './archive-folder.js';
import { archiveRoot } from './archive-root.js';
import { type ArchiveEntry, type ArchiveLimits, readArchive } from './read-archive.js';

export interface Archive {
  key: string;
  etag: string;
  sizeBytes: number;
  corpus: string;
}

export interface Unpacking {
  store: Pick<ObjectStore, 'head' | 'put' | 'download'>;
  limits: ArchiveLimits;
  logger: Logger;
  /** Publishes hints at these keys; resolves when they are durable. */
  hintAt: (keys: string[]) => Promise<void>;
  /** Number of entries that an earlier attempt has put. */
  done: number;
  /** Called when more entries are put and hinted at. */
  onDone: (done: number) => void;
  /** Ends the work after the present window; the promise then rejects. */
  signal: AbortSignal;
  /** Default: 15 s. */
  diskWaitMs?: number;
}

const putsAtOnce = 16;
/** Most bytes of a window, unless a single entry is larger. */
const windowBytes = 32e6;

/** @throws PipelineError ARCHIVE_LIMIT_EXCEEDED if the packed archive is too large already */
export function refuseLargeArchive({ sizeBytes }: { sizeBytes: number }, { totalBytes }: ArchiveLimits): void {
  if (sizeBytes <= totalBytes) return;
  throw new PipelineError(
    'ARCHIVE_LIMIT_EXCEEDED',
    `The packed archive has ${(sizeBytes / 1e9).toFixed(1)} GB, and at most ${totalBytes / 1e9} GB are allowed. Unpack it and put its files, or raise ARCHIVE_MAX_GB`,
  );
}

/**
 * @returns the number of entries put in all; null if the archive was deleted or replaced meanwhile
 * @throws PipelineError ARCHIVE_INVALID, ARCHIVE_LIMIT_EXCEEDED, RETRIES_EXHAUSTED; OBJECT_REFUSED, OBJECT_KEY_INVALID once all
 * other entries are put
 */
export async function unpackArchive(archive: Archive, unpacking: Unpacking): Promise<number | null> {
  const { limits, signal } = unpacking;
  refuseLargeArchive(archive, limits);
  const folder = await whileDiskIsFull(() => makeArchiveFolder(), archive, unpacking);
  try {
    const file = join(folder, 'archive');
    if (!(await download(archive, file, unpacking))) return null;
    const window = new EntryWindow(archive, unpacking);
    const skip = { left: unpacking.done };
    const { folder: root, strays } = archiveRoot(await pathsIn(file, limits));
    const placeOf = (path: string): string => (path.startsWith(root) ? path.slice(root.length) : path);
    // Annotations first, so that recordings find their labels.
    for await (const { path, bytes } of readArchive(file, limits, { wants: (path) => isAnnotationPath(placeOf(path)), skip })) {
      await window.add({ path: placeOf(path), bytes }, root === '' ? undefined : path);
      signal.throwIfAborted();
    }
    for await (const entry of readArchive(file, limits, { wants: isAudioPath, skip })) {
      await window.add(entry);
      signal.throwIfAborted();
    }
    const done = await window.close();
    if (strays.length > 0) throw strayAnnotations(strays);
    return done;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Lists the paths of an archive, up to the first error. Reading the entries then reports the error. */
async function pathsIn(file: string, limits: ArchiveLimits): Promise<string[]> {
  const paths: string[] = [];
  const wants = (path: string): boolean => {
    paths.push(path);
    return false;
  };
  try {
    for await (const _none of readArchive(file, limits, { wants }));
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
  }
  return paths;
}

function strayAnnotations(paths: readonly string[]): PipelineError {
  const [first] = paths;
  return new PipelineError(
    'MANIFEST_INVALID',
    `The recordings of the archive were put, but not ${first}${paths.length > 1 ? ` and ${paths.length - 1} more` : ''}. Annotations must lie at the top of the archive, or in one folder that contains everything. Put them at the top of the corpus`,
  );
}

/** @returns true if the downloaded file is the archive with the wanted ETag */
async function download(archive: Archive, file: string, unpacking: Unpacking): Promise<boolean> {
  const { store, signal } = unpacking;
  const isSame = async (): Promise<boolean> => (await retrying(() => store.head(archive.key), { signal }))?.etag === archive.etag;
  if (!(await isSame())) return false;
  try {
    await whileDiskIsFull(() => retrying(() => store.download(archive.key, file), { signal }), archive, unpacking);
  } catch (error) {
    if (error instanceof PipelineError && error.code === 'OBJECT_GONE') return false;
    throw error;
  }
  return isSame();
}

/** Logs a full disk and waits, because it is not the archive's fault. */
async function whileDiskIsFull<Result>(work: () => Promise<Result>, { key, sizeBytes }: Archive, unpacking: Unpacking): Promise<Result> {
  const { signal, logger, diskWaitMs = 15_000 } = unpacking;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      const needs = `${(sizeBytes / 1e6).toFixed(1)} MB`;
      logger.warn(
        { archive: key, err: error },
        `the disk of the temporary folder is full: unpacking an archive needs ${needs} and waits. Free some space`,
      );
      await sleep(diskWaitMs, undefined, { signal });
    }
  }
}

function isDiskFull(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (['ENOSPC', 'EDQUOT'].includes((cause as NodeJS.ErrnoException).code ?? '')) return true;
  return false;
}

function otherAnnotations(key: string, path: string): PipelineError {
  return new PipelineError(
    'MANIFEST_INVALID',
    `${path} of the archive was not put, because the corpus has another file at ${key}. Put one file with the rows of both there, or delete that file and replay`,
  );
}

/** The entries that are put at the same time. */
class EntryWindow {
  private readonly entries = new Map<string, Uint8Array>();
  /** Path in the archive of each file that goes to the top of the corpus, by key. */
  private readonly movedFrom = new Map<string, string>();
  private sizeBytes = 0;
  private done: number;
  private refused = 0;
  private firstRefusal: PipelineError | undefined;

  constructor(
    private readonly archive: Archive,
    private readonly unpacking: Unpacking,
  ) {
    this.done = unpacking.done;
  }

  /** @param movedFrom its path in the archive, if it differs */
  async add({ path, bytes }: ArchiveEntry, movedFrom?: string): Promise<void> {
    const key = corpusKey(this.archive.corpus, path);
    if (movedFrom !== undefined) this.movedFrom.set(key, movedFrom);
    // If two entries have the same path, the later one wins, as with every unpacker.
    if (this.entries.has(key) || this.sizeBytes + bytes.length > windowBytes) await this.put();
    this.entries.set(key, bytes);
    this.sizeBytes += bytes.length;
    if (this.entries.size >= putsAtOnce) await this.put();
  }

  /** @returns the number of finished entries @throws the first refusal of the store, if there was one */
  async close(): Promise<number> {
    await this.put();
    const { firstRefusal, refused, done } = this;
    if (firstRefusal) {
      throw new PipelineError(
        firstRefusal.code,
        `${refused} of ${done} entries of the archive cannot be put. The first: ${firstRefusal.message}`,
        {
          cause: firstRefusal,
        },
      );
    }
    return done;
  }

  private async put(): Promise<void> {
    const { size } = this.entries;
    if (size === 0) return;
    const put = await Promise.all([...this.entries].map(async ([key, bytes]) => ((await this.putOne(key, bytes)) ? [key] : [])));
    this.entries.clear();
    this.sizeBytes = 0;
    await retrying(() => this.unpacking.hintAt(put.flat()), { signal: this.unpacking.signal });
    this.done += size;
    this.unpacking.onDone(this.done);
  }

  /** @returns false if the store refuses this entry */
  private async putOne(key: string, bytes: Uint8Array): Promise<boolean> {
    const { store, signal } = this.unpacking;
    try {
      refuseBadKey(key);
      // The ETag of an object put in one piece is the MD5 of its bytes. With other ETags the entry is put again.
      const digest = createHash('md5').update(bytes).digest('hex');
      const movedFrom = this.movedFrom.get(key);
      await retrying(
        async () => {
          const known = (await store.head(key))?.etag;
          if (known === digest) return;
          if (known !== undefined && movedFrom !== undefined) throw otherAnnotations(key, movedFrom);
          await store.put(key, bytes);
        },
        { signal },
      );
      return true;
    } catch (error) {
      if (!(error instanceof PipelineError) || !['OBJECT_REFUSED', 'OBJECT_KEY_INVALID', 'MANIFEST_INVALID'].includes(error.code))
        throw error;
      this.firstRefusal ??= error;
      this.refused++;
      return false;
    }
  }
}
