/**
 * Keeps the jobs of unpacking archives as objects in the bucket, one for each archive: its state, who works on it, and how
 * many entries are done. Every write is on the condition that nobody else wrote meanwhile, so an instance that lost a job to
 * another finds out by its next write.
 */
import { z } from 'zod';
import { archiveJobKey, archiveJobsPrefix, unpackedArchiveKey } from '#contracts/object-keys.js';
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
  /** The hint that asked for it: a dead letter is about it. */
  origin: originSchema,
  /** Entries that are put and hinted at. */
  done: z.number().int().nonnegative(),
  /** How often it was begun since `done` last grew: a job that ends its process each time is given up. */
  starts: z.number().int().nonnegative(),
  /** The error that ended the last start, where one was caught. */
  lastError: z.string().optional(),
  /** Instance that works on it; null: nobody. */
  holder: z.string().nullable(),
  /** Grows while the holder lives. */
  beats: z.number().int().nonnegative(),
});
export type ArchiveJob = z.infer<typeof jobSchema>;

/** A job as it is stored. */
export interface StoredJob {
  key: string;
  job: ArchiveJob;
  /** Of the job's object, not of the archive. */
  etag: string;
}

const doneSchema = z.object({ etag: z.string(), refused: z.string().optional() });

export type JobsStore = Pick<ObjectStore, 'head' | 'find' | 'put' | 'delete' | 'list'>;

export class ArchiveJobs {
  /** By the key of a job, as it was last read: a listing tells which ones changed since. */
  private readonly read = new Map<string, { listedEtag: string; stored: StoredJob }>();

  constructor(private readonly store: JobsStore) {}

  /**
   * Makes a job durable, in place of one for an older state of the archive.
   * @returns false if this state has a job, or was unpacked, or, unless it is tried again, was refused
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

  /** All jobs. One that cannot be read is deleted: the next start of ingest hints at its archive again. */
  async *all(): AsyncGenerator<StoredJob> {
    const present = new Set<string>();
    for await (const { key, etag: listedEtag } of this.store.list(archiveJobsPrefix)) {
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
    if (found) await this.store.delete(key);
    return null;
  }

  /** @returns the job as it is then stored; null if another wrote it meanwhile */
  async save({ key, etag }: StoredJob, job: ArchiveJob): Promise<StoredJob | null> {
    this.read.delete(key);
    const saved = await this.store.put(key, JSON.stringify(job), { onlyIf: { etag } });
    return saved === null ? null : { key, job, etag: saved };
  }

  /**
   * Remembers that this state of the archive needs no work any more, and forgets the job.
   * @param refused the code of its dead letter
   * @returns false if the archive is another by now: a job for it may have been forgotten with this one
   */
  async finish({ key, job }: StoredJob, refused?: string): Promise<boolean> {
    const marker = { etag: job.etag, entries: job.done, unpackedAt: new Date().toISOString(), refused };
    await this.store.put(unpackedArchiveKey(job.archive), JSON.stringify(marker));
    return this.drop({ key, job });
  }

  /** Forgets the job of an archive that went, or is another. @returns as `finish` */
  async drop({ key, job }: Pick<StoredJob, 'key' | 'job'>): Promise<boolean> {
    await this.store.delete(key);
    const head = await this.store.head(job.archive);
    return !head || head.etag === job.etag;
  }
}

/** A hint has some hundred bytes. A larger record is left where it stands: the job must stay readable. */
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
