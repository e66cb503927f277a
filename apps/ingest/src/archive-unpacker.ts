/**
 * Unpacks archives beside the consumers, so that a large one on a slow store blocks no partition: "busy" is then never
 * "stalled". Two archives at once, one of a corpus at a time.
 *
 * Delivery: the hint of an archive settles once its job is durable (`state/archives/`, archive-jobs.ts). Leaving the hint
 * open instead would hold back the commits of everything behind it, and bring the whole archive again after each rebalance.
 * From then on the job is the promise: any instance takes it up at its start, or when its holder has not written for a while,
 * and goes on at the entry where it was. When all entries are put, a marker remembers the archive's ETag and the job goes.
 * An archive that cannot be unpacked gets a dead letter about the hint that asked for it, then its marker.
 *
 * An error that nobody foresaw is the job's alone: it is tried again, and the fifth start without an entry more is a dead
 * letter UNKNOWN_REPEATED. A start counts before its work begins, so a death by memory counts too.
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
  deadLetterOffice: Pick<DeadLetterOffice, 'bury'>;
  /** Resolves when hints at these keys are durable. */
  hintAt: (keys: string[]) => Promise<void>;
  limits: ArchiveLimits;
  logger: Logger;
  /** Names the instance, as host, process and a word of its own. */
  instanceId?: string;
  timing?: Partial<UnpackerTiming>;
}

interface UnpackerTiming {
  /** Between looks for jobs that another instance left. */
  lookMs: number;
  /** Between writes of a holder. */
  beatMs: number;
  /** A job whose holder has written nothing for so long is anyone's. */
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
  /** As it should be stored. */
  job: ArchiveJob;
  ended: AbortController;
  saving: Promise<void> | undefined;
  work: Promise<void>;
}

export class ArchiveUnpacker {
  private readonly jobs: ArchiveJobs;
  private readonly timing: UnpackerTiming;
  /** Host and process come first: a later process of the same container knows its predecessor by them. */
  private readonly id: string;
  /** By the key of the job. */
  private readonly held = new Map<string, Held>();
  /** By the key of a job that another holds: as it was first seen, and when. */
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

  /** Archives that are being unpacked or wait for it, as of the last look. */
  get openCount(): number {
    return this.held.size + this.waitingCount;
  }

  /** Takes up the jobs that are there, and looks for others from time to time. */
  async start(): Promise<void> {
    const removed = await sweepArchiveFolders();
    if (removed > 0) this.parts.logger.info({ removed }, 'removed temporary folders of archives that an earlier process left');
    this.timer = setInterval(() => this.look(), this.timing.lookMs);
    this.look();
  }

  /** What is under way ends after the entries in hand; the next start goes on there. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.stopped.abort();
    await atMost(partingMs, Promise.allSettled([this.looking, ...[...this.held.values()].map(({ work }) => work)]));
  }

  /**
   * Makes it durable that the archive will be unpacked.
   * @returns false if that was so before, or this state of the archive was unpacked or refused before
   * @throws PipelineError ARCHIVE_LIMIT_EXCEEDED
   */
  async accept({ head, corpus, origin, again }: ArchiveToUnpack): Promise<boolean> {
    refuseLargeArchive(head, this.parts.limits);
    const wanted = { archive: head.key, etag: head.etag, sizeBytes: head.sizeBytes, corpus };
    const isNew = await this.jobs.open(wanted, origin, again);
    this.look();
    return isNew;
  }

  /** One look at a time; a job that came during one is found by another right after it. */
  private look(): void {
    if (this.stopped.signal.aborted) return;
    this.looksAgain = this.looking !== undefined;
    this.looking ??= this.takeJobs()
      .catch((error: unknown) => this.parts.logger.warn({ err: error }, 'could not look for archives to unpack; tries again'))
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

  /** By this instance's own clock: clocks of others may differ. */
  private isFree({ key, etag, job: { holder } }: StoredJob): boolean {
    if (holder === null || holder === this.id || (this.isFirstLook && isOfDeadProcess(holder))) return true;
    const before = this.seen.get(key);
    if (before?.etag === etag) return performance.now() - before.sinceMs >= this.timing.staleMs;
    this.seen.set(key, { etag, sinceMs: performance.now() });
    return false;
  }

  /** @returns false if another was faster */
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
      // Tried again at the next look, not at once.
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
      logger.info({ archive, done }, done > 0 ? 'goes on unpacking an archive' : 'unpacks an archive');
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
      logger.info({ archive, entries }, entries === null ? 'an archive went, or is another by now' : 'unpacked an archive');
    } catch (error) {
      if (signal.aborted || !isRefusal(error)) throw error;
      const refusal = error;
      logger.warn({ archive, code: refusal.code }, refusal.message);
      await retrying(() => this.parts.deadLetterOffice.bury(originOf(held.job), { objectKey: archive }, refusal), { signal });
      await this.close(held, (stored) => this.jobs.finish(stored, refusal.code));
    }
  }

  /** Nobody else may write the job from here on; then it goes. */
  private async close(held: Held, forget: (stored: StoredJob) => Promise<boolean>): Promise<void> {
    const { signal } = held.ended;
    await retrying(() => this.saveNow(held), { signal });
    signal.throwIfAborted();
    const isSame = await retrying(() => forget(held.stored), { signal });
    if (!isSame) await retrying(() => this.parts.hintAt([held.job.archive]), { signal });
  }

  /** The job is kept for another try: of this instance at its next look, or of another. */
  private async letGo(held: Held, error: unknown): Promise<void> {
    if (held.ended.signal.aborted) return;
    const isStopping = this.stopped.signal.aborted;
    const { starts, archive } = held.job;
    if (!isStopping) this.parts.logger.error({ archive, starts, err: error }, 'unpacking an archive failed; it is tried again');
    const mayPass = isStopping || fateOf(error) === 'retryable';
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    held.job = {
      ...held.job,
      holder: null,
      ...(mayPass ? { starts: Math.max(0, starts - 1) } : { lastError: reason.slice(0, 500) }),
    };
    await this.save(held);
  }

  /** A write that fails is made again by the next beat. */
  private async save(held: Held): Promise<void> {
    await this.saveNow(held).catch((error: unknown) => {
      this.parts.logger.warn({ archive: held.job.archive, err: error }, 'could not store how far an archive is unpacked; tries again');
    });
  }

  /** One write at a time. A job that another wrote is his. */
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

/** The outside world that was away for too long is no fault of the archive; it counts as a start without progress. */
function isRefusal(error: unknown): error is PipelineError {
  return error instanceof PipelineError && error.fate === 'permanent' && error.code !== 'RETRIES_EXHAUSTED';
}

function givenUp(starts: number, lastError: string | undefined): string {
  const reason = lastError ?? 'its process ended each time, perhaps by lack of memory';
  return `Unpacking this archive was begun ${starts} times without an entry more: ${reason}. Unpack it yourself and put its files`;
}

/** Of this host, and this process is not it. */
function isOfDeadProcess(holder: string): boolean {
  const [host, pid] = holder.split('/');
  return host === hostname() && (Number(pid) === process.pid || !isAlive(Number(pid)));
}
