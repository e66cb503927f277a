/**
 * Stores the jobs of unpacking archives as objects in the bucket, one for each archive: its ETag, its holder, and the number of
 * finished entries. Every write is conditional on the object being unchanged. So an instance that lost a job finds out at its
 * next write.
 */
import { z } from 'zod';
import { archiveJobKey, archiveJobsPrefix, isOwnObject, unpackedArchiveKey } from '#contracts/object-keys.js';
import { deleteOwn } from '#storage/delete-own.js';
import type { ObjectStore } from '#storage/object-store.js';
import type { RecordOrigin } from '#streaming/dead-letter-office.js';
import { findState, findStateAndEtag } from './find-state.js';

const originSchema = z.object({
  topic: z.string(),
  partition: z.number().int(),
  offset: z.string(),
  keyBase64: z.string().nullable(),
  valueBase64: z.string().nullable(),
});

const jobSchema = z.object({
  archive: z.string(),
  etag: z.string(),
  sizeBytes: z.number().nonnegative(),
  corpus: z.string(),
  /** The hint that asked for the archive. A dead letter about the archive names this hint. */
  origin: originSchema,
  /** Number of entries that are put and hinted at. */
  done: z.number().int().nonnegative(),
  /** Number of starts since `done` last grew. A job that keeps failing without progress is given up. */
  starts: z.number().int().nonnegative(),
  /** The error that ended the last start, if one was caught. */
  lastError: z.string().optional(),
  /** The instance that works on the job; null if none does. */
  holder: z.string().nullable(),
  /** A counter that the holder increases while it lives. */
  beats: z.number().int().nonnegative(),
});
export type ArchiveJob = z.infer<typeof jobSchema>;

/** A job as stored in the bucket. */
export interface StoredJob {
  key: string;
  job: ArchiveJob;
  /** ETag of the job's object, not of the archive. */
  etag: string;
}

const doneSchema = z.object({ etag: z.string(), refused: z.string().optional() });

export type JobsStore = Pick<ObjectStore, 'head' | 'find' | 'put' | 'delete' | 'list'>;

export class ArchiveJobs {
  /** The jobs as last read, by key. A listing shows which ones have changed since. */
  private readonly read = new Map<string, { listedEtag: string; stored: StoredJob }>();

  constructor(private readonly store: JobsStore) {}

  /**
   * Stores a job. It replaces a job for an older state of the archive.
   * @returns false if this state of the archive has a job already, was unpacked, or was refused and is not to be tried again
   */
  async open(
    wanted: Pick<ArchiveJob, 'archive' | 'etag' | 'sizeBytes' | 'corpus'>,
    origin: RecordOrigin,
    again: boolean,
  ): Promise<boolean> {
    const finished = await findState(this.store, unpackedArchiveKey(wanted.archive), doneSchema);
    if (finished?.etag === wanted.etag && !(again && finished.refused !== undefined)) return false;
    const key = archiveJobKey(wanted.archive);
    const job: ArchiveJob = { ...wanted, origin: packed(origin), done: 0, starts: 0, holder: null, beats: 0 };
    for (;;) {
      const before = await findStateAndEtag(this.store, key, jobSchema);
      if (before?.state?.etag === wanted.etag) return false;
      const onlyIf = before ? { etag: before.etag } : ('absent' as const);
      if ((await this.store.put(key, JSON.stringify(job), { onlyIf })) !== null) return true;
    }
  }

  /** Reads all jobs, and no other object. It deletes an unreadable job, because the next start of ingest hints at its archive again. */
  async *all(): AsyncGenerator<StoredJob> {
    const present = new Set<string>();
    for await (const { key, etag: listedEtag } of this.store.list(archiveJobsPrefix)) {
      if (!isOwnObject(key, 'archiveJob')) continue;
      const known = this.read.get(key);
      const stored = known?.listedEtag === listedEtag ? known.stored : await this.find(key);
      if (!stored) continue;
      present.add(key);
      this.read.set(key, { listedEtag, stored });
      yield stored;
    }
    for (const key of this.read.keys()) if (!present.has(key)) this.read.delete(key);
  }

  private async find(key: string): Promise<StoredJob | null> {
    const found = await findStateAndEtag(this.store, key, jobSchema);
    if (found?.state) return { key, job: found.state, etag: found.etag };
    if (found) await deleteOwn(this.store, key, 'archiveJob');
    return null;
  }

  /** @returns the stored job; null if another instance wrote it meanwhile */
  async save({ key, etag }: StoredJob, job: ArchiveJob): Promise<StoredJob | null> {
    this.read.delete(key);
    const saved = await this.store.put(key, JSON.stringify(job), { onlyIf: { etag } });
    return saved === null ? null : { key, job, etag: saved };
  }

  /**
   * Writes a marker that this state of the archive is done, and deletes the job.
   * @param refused the code of its dead letter, if the archive was refused
   * @returns false if the archive has been replaced meanwhile: a job for its new state may have been deleted with this one
   */
  async finish({ key, job }: StoredJob, refused?: string): Promise<boolean> {
    const marker = { etag: job.etag, entries: job.done, unpackedAt: new Date().toISOString(), refused };
    await this.store.put(unpackedArchiveKey(job.archive), JSON.stringify(marker));
    return this.drop({ key, job });
  }

  /** Deletes the job of an archive that was deleted or replaced. @returns as `finish` */
  async drop({ key, job }: Pick<StoredJob, 'key' | 'job'>): Promise<boolean> {
    await deleteOwn(this.store, key, 'archiveJob');
    const head = await this.store.head(job.archive);
    return !head || head.etag === job.etag;
  }
}

/** A hint has some hundred bytes. A larger record is not copied into the job, so that the job stays readable. */
const mostOriginBytes = 16_384;

function packed({ topic, partition, offset, key, value }: RecordOrigin): ArchiveJob['origin'] {
  const base64 = (bytes: Buffer | null): string | null => (bytes && bytes.length <= mostOriginBytes ? bytes.toString('base64') : null);
  return { topic, partition, offset, keyBase64: base64(key), valueBase64: base64(value) };
}

export const originOf = ({ origin: { keyBase64, valueBase64, ...place } }: ArchiveJob): RecordOrigin => ({
  ...place,
  key: keyBase64 === null ? null : Buffer.from(keyBase64, 'base64'),
  value: valueBase64 === null ? null : Buffer.from(valueBase64, 'base64'),
});
