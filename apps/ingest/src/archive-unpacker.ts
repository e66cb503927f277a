/**
 * Unpacks archives beside the consumers, so that a large archive on a slow store blocks no partition and a busy consumer never
 * looks stalled. It unpacks two archives at once, and one of each corpus at a time.
 *
 * Delivery: the hint of an archive settles once its job is stored (`state/archives/`, archive-jobs.ts). An open hint would hold
 * back all later commits, and the whole archive would come again after each rebalance. The stored job takes over the promise: any
 * instance continues it at the next entry, at its own start or when the holder has stopped writing. When all entries are put, a
 * marker remembers the archive's ETag, and the job is deleted. An archive that cannot be unpacked gets a dead letter about its
 * hint, then its marker.
 *
 * An unknown error concerns its own job only. The job is tried again; the fifth start without progress gives it a dead letter
 * UNKNOWN_REPEATED. A start is counted before its work begins, so running out of memory counts too.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Logger } from '#service/logger.js';
import type { ObjectStore } from '#storage/object-store.js';
import { atMost } from '#streaming/at-most.js';
import type { DeadLetterOffice, RecordOrigin } from '#streaming/dead-letter-office.js';
import { fateOf, retrying } from '#streaming/retry.js';
import { isAlive, sweepArchiveFolders } from './archive-folder.js';
import { type ArchiveJob, ArchiveJobs, type JobsStore, originOf, type StoredJob } from './archive-jobs.js';
import type { ArchiveToUnpack } from './decide-object.js';
import type { ArchiveLimits } from './read-archive.js';
import { refuseLargeArchive, unpackArchive } from './unpack-archive.js';

export interface ArchiveUnpackerParts {
  store: JobsStore & Pick<ObjectStore, 'download'>;
  deadLetterOffice: Pick<DeadLetterOffice, 'writeLetter'>;
  /** Resolves when hints at these keys are durable. */
  hintAt: (keys: string[]) => Promise<void>;
  limits: ArchiveLimits;
  logger: Logger;
  /** Name of this instance: host, process id and a random word. */
  instanceId?: string;
  timing?: Partial<UnpackerTiming>;
}

interface UnpackerTiming {
  /** Time between two checks for abandoned jobs. */
  lookMs: number;
  /** Time between two writes of a holder. */
  beatMs: number;
  /** Any instance may take a job whose holder has written nothing for this long. */
  staleMs: number;
  diskWaitMs: number;
}

const usualTiming: UnpackerTiming = { lookMs: 5_000, beatMs: 3_000, staleMs: 15_000, diskWaitMs: 15_000 };
const archivesAtOnce = 2;
const startLimit = 5;
const partingMs = 4_000;

/** A job that this instance works on. */
interface Held {
  stored: StoredJob;
  /** The job as it should be stored. */
  job: ArchiveJob;
  ended: AbortController;
  saving: Promise<void> | undefined;
  work: Promise<void>;
}

export class ArchiveUnpacker {
  private readonly jobs: ArchiveJobs;
  private readonly timing: UnpackerTiming;
  /** It begins with host and process id: a later process of the same container recognises its predecessor by them. */
  private readonly id: string;
  /** Jobs of this instance, by key. */
  private readonly held = new Map<string, Held>();
  /** Jobs of other instances, by key: how each was first seen, and when. */
  private readonly seen = new Map<string, { etag: string; sinceMs: number }>();
  private readonly stopped = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;
  private looksAgain = false;
  private isFirstLook = true;
  private waitingCount = 0;

  constructor(private readonly parts: ArchiveUnpackerParts) {
    this.jobs = new ArchiveJobs(parts.store);
    this.timing = { ...usualTiming, ...parts.timing };
    this.id = parts.instanceId ?? `${hostname()}/${process.pid}/${randomUUID()}`;
  }

  /** Number of archives that are unpacked or waiting, as of the last check. */
  get openCount(): number {
    return this.held.size + this.waitingCount;
  }

  /** Takes the existing jobs, and checks for others at intervals. */
  async start(): Promise<void> {
    const removed = await sweepArchiveFolders();
    if (removed > 0) this.parts.logger.info({ removed }, 'removed temporary archive folders of dead processes');
    this.timer = setInterval(() => this.look(), this.timing.lookMs);
    this.look();
  }

  /** Ends running jobs after their present window of entries. The next start continues there. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.stopped.abort();
    await atMost(partingMs, Promise.allSettled([this.looking, ...[...this.held.values()].map(({ work }) => work)]));
  }

  /**
   * Stores a job for the archive.
   * @returns false if this state of the archive has a job already, or was unpacked or refused before
   * @throws PipelineError ARCHIVE_LIMIT_EXCEEDED
   */
  async accept({ head, corpus, origin, again }: ArchiveToUnpack): Promise<boolean> {
    refuseLargeArchive(head, this.parts.limits);
    const wanted = { archive: head.key, etag: head.etag, sizeBytes: head.sizeBytes, corpus };
    const isNew = await this.jobs.open(wanted, origin, again);
    this.look();
    return isNew;
  }

  /** Runs one check at a time. A job that came during a check is found by another check right after it. */
  private look(): void {
    if (this.stopped.signal.aborted) return;
    this.looksAgain = this.looking !== undefined;
    this.looking ??= this.takeJobs()
      .catch((error: unknown) => this.parts.logger.warn({ err: error }, 'could not look for archives to unpack; trying again'))
      .finally(() => {
        this.looking = undefined;
        if (this.looksAgain) this.look();
      });
  }

  private async takeJobs(): Promise<void> {
    const free: StoredJob[] = [];
    const busyCorpora = new Set([...this.held.values()].map(({ job }) => job.corpus));
    for await (const stored of this.jobs.all()) {
      if (this.held.has(stored.key)) continue;
      if (this.isFree(stored)) free.push(stored);
      else busyCorpora.add(stored.job.corpus);
    }
    this.isFirstLook = false;
    this.waitingCount = 0;
    for (const stored of free) {
      const { corpus } = stored.job;
      const hasRoom = this.held.size < archivesAtOnce && !busyCorpora.has(corpus);
      if (hasRoom && !this.stopped.signal.aborted && (await this.begin(stored))) busyCorpora.add(corpus);
      else this.waitingCount++;
    }
  }

  /** Uses this instance's own clock, because other clocks may differ. */
  private isFree({ key, etag, job: { holder } }: StoredJob): boolean {
    if (holder === null || holder === this.id || (this.isFirstLook && isOfDeadProcess(holder))) return true;
    const before = this.seen.get(key);
    if (before?.etag === etag) return performance.now() - before.sinceMs >= this.timing.staleMs;
    this.seen.set(key, { etag, sinceMs: performance.now() });
    return false;
  }

  /** @returns false if another instance was faster */
  private async begin(stored: StoredJob): Promise<boolean> {
    const job = { ...stored.job, holder: this.id, starts: stored.job.starts + 1, beats: stored.job.beats + 1 };
    const mine = await this.jobs.save(stored, job);
    if (!mine) return false;
    this.seen.delete(stored.key);
    const held: Held = { stored: mine, job, ended: new AbortController(), saving: undefined, work: Promise.resolve() };
    this.held.set(stored.key, held);
    const beat = setInterval(() => void this.save(held), this.timing.beatMs);
    const end = (): void => {
      clearInterval(beat);
      this.held.delete(stored.key);
    };
    held.work = this.workOn(held).then(
      () => {
        end();
        this.look();
      },
      // The next check tries again.
      (error: unknown) => this.letGo(held, error).finally(end),
    );
    return true;
  }

  private async workOn(held: Held): Promise<void> {
    const { limits, logger, store, hintAt } = this.parts;
    const { archive, etag, sizeBytes, corpus, done, starts, lastError } = held.job;
    const signal = AbortSignal.any([held.ended.signal, this.stopped.signal]);
    try {
      if (starts > startLimit) throw new PipelineError('UNKNOWN_REPEATED', givenUp(starts - 1, lastError));
      logger.info({ archive, done }, done > 0 ? 'continuing to unpack an archive' : 'unpacking an archive');
      const onDone = (count: number): void => {
        held.job = { ...held.job, done: count, starts: 0, lastError: undefined };
      };
      const { diskWaitMs } = this.timing;
      const entries = await unpackArchive(
        { key: archive, etag, sizeBytes, corpus },
        { store, limits, logger, hintAt, done, onDone, signal, diskWaitMs },
      );
      if (entries === null) await this.close(held, (stored) => this.jobs.drop(stored));
      else await this.close(held, (stored) => this.jobs.finish(stored));
      logger.info({ archive, entries }, entries === null ? 'an archive was deleted or replaced meanwhile' : 'unpacked an archive');
    } catch (error) {
      if (signal.aborted || !isRefusal(error)) throw error;
      const refusal = error;
      logger.warn({ archive, code: refusal.code }, refusal.message);
      await retrying(() => this.parts.deadLetterOffice.writeLetter(originOf(held.job), { objectKey: archive }, refusal), { signal });
      await this.close(held, (stored) => this.jobs.finish(stored, refusal.code));
    }
  }

  /** Ends the writes of this instance to the job, then deletes the job. */
  private async close(held: Held, end: (stored: StoredJob) => Promise<boolean>): Promise<void> {
    const { signal } = held.ended;
    await retrying(() => this.saveNow(held), { signal });
    signal.throwIfAborted();
    const isSame = await retrying(() => end(held.stored), { signal });
    if (!isSame) await retrying(() => this.parts.hintAt([held.job.archive]), { signal });
  }

  /** Keeps the job for another try, by this instance at its next check or by another instance. */
  private async letGo(held: Held, error: unknown): Promise<void> {
    if (held.ended.signal.aborted) return;
    const isStopping = this.stopped.signal.aborted;
    const { starts, archive } = held.job;
    if (!isStopping) this.parts.logger.error({ archive, starts, err: error }, 'unpacking an archive failed; trying again');
    const mayPass = isStopping || fateOf(error) === 'retryable';
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    held.job = {
      ...held.job,
      holder: null,
      ...(mayPass ? { starts: Math.max(0, starts - 1) } : { lastError: reason.slice(0, 500) }),
    };
    await this.save(held);
  }

  /** Stores the state at intervals. The next beat repeats a failed write. */
  private async save(held: Held): Promise<void> {
    await this.saveNow(held).catch((error: unknown) => {
      this.parts.logger.warn({ archive: held.job.archive, err: error }, 'could not store the progress of an archive; trying again');
    });
  }

  /** Makes one write at a time. If another instance has written the job, the job belongs to that instance. */
  private async saveNow(held: Held): Promise<void> {
    while (held.saving) await held.saving.catch(() => undefined);
    if (held.ended.signal.aborted) return;
    const job = { ...held.job, beats: held.job.beats + 1 };
    const saving = this.jobs.save(held.stored, job).then((stored) => {
      if (stored) {
        held.stored = stored;
        held.job = { ...held.job, beats: job.beats };
      } else held.ended.abort();
    });
    held.saving = saving;
    await saving.finally(() => {
      held.saving = undefined;
    });
  }
}

/** True for errors of the archive itself. A long outage is none; it counts as a start without progress. */
function isRefusal(error: unknown): error is PipelineError {
  return error instanceof PipelineError && error.fate === 'permanent' && error.code !== 'RETRIES_EXHAUSTED';
}

function givenUp(starts: number, lastError: string | undefined): string {
  const reason = lastError ?? 'the process ended each time, perhaps for lack of memory';
  return `Unpacking this archive made no progress in ${starts} starts: ${reason}. Unpack it yourself and put its files`;
}

/** True for an earlier process of this host. */
function isOfDeadProcess(holder: string): boolean {
  const [host, pid] = holder.split('/');
  return host === hostname() && (Number(pid) === process.pid || !isAlive(Number(pid)));
}
