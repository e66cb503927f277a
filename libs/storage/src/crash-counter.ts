/**
 * Counts durably how often a stage failed or died on one recording, object or record, so that the third time makes it a dead
 * letter (libs/streaming/src/failure.ts).
 *
 * Two things count: an unknown error, and the death of the process with the subject in hand (in-hand-journal.ts). After a death,
 * all subjects in hand are suspects. Suspects are taken one at a time, so the next death has one suspect only. A suspect that is
 * taken without a death is cleared.
 *
 * Promises: counts outlive processes. They lie in the bucket under `state/crashes/`, one object for each failed subject. A record
 * without a failure costs no request. A taken subject loses its count. A subject whose process died keeps its count after its dead
 * letter. For an hour it is refused without another try, because the listing at each start would bring it again. `undertone replay`
 * deletes the count.
 */
import { createHash } from 'node:crypto';
import { crashCountKey, crashCountPrefix } from '#contracts/object-keys.js';
import { deleteOwn } from './delete-own.js';
import { InHandJournal } from './in-hand-journal.js';
import type { Objects } from './object-store.js';

export interface CrashCounterOptions {
  store: Objects;
  topicPrefix: string;
  stage: string;
  /** Folder of the journal: local, used by this stage only, kept over restarts. Null: deaths are not counted. */
  folder: string | null;
  logger: { warn: (context: object, message: string) => void };
}

interface Count {
  subject: string;
  /** Number of errors and deaths. */
  failures: number;
  deaths: number;
  message: string;
  at: string;
}

export interface InHand {
  /** If not 0, the process failed or died this often with it, and it is not tried again. */
  refusedAfter: number;
  end: () => void;
}

const failureLimit = 3;
const refusedForMs = 3_600_000;

export class CrashCounter {
  private journal: InHandJournal | undefined;
  /** Subjects with a count in the bucket, by sha256. */
  private readonly counted = new Set<string>();
  /** Subjects that were in hand when a process died. */
  private readonly suspects = new Set<string>();
  private suspectsTurn: Promise<void> = Promise.resolve();
  private recovered: Promise<void> | undefined;

  constructor(private readonly options: CrashCounterOptions) {}

  /** Counts the deaths of earlier processes, and begins a journal. Call it once; after an error it may be called again. */
  recover(): Promise<void> {
    this.recovered ??= this.recoverOnce().catch((error: unknown) => {
      this.recovered = undefined;
      throw error;
    });
    return this.recovered;
  }

  private async recoverOnce(): Promise<void> {
    const { store, topicPrefix, stage } = this.options;
    const prefix = crashCountPrefix(topicPrefix, stage);
    for await (const { key } of store.list(prefix)) this.counted.add(key.slice(prefix.length).replace(/\.json$/, ''));
    for (const { path, entries } of this.journalsLeftBehind()) {
      for (const { sha256, name } of entries) {
        const { failures } = await this.add(sha256, { subject: name, message: 'the process ended with it in hand', isDeath: true });
        this.suspects.add(sha256);
        this.options.logger.warn({ subject: name, failures }, 'an earlier process died with this in hand');
      }
      InHandJournal.remove(path);
    }
  }

  /** If the temporary folder cannot be used, deaths are not counted, and everything else works. */
  private journalsLeftBehind(): ReturnType<typeof InHandJournal.leftBehind> {
    const { folder, logger } = this.options;
    if (folder === null) return [];
    try {
      const left = InHandJournal.leftBehind(folder);
      this.journal ??= new InHandJournal(folder);
      return left;
    } catch (error) {
      logger.warn({ err: error, folder }, 'cannot write a journal in this folder, so a death of this process will not be counted');
      return [];
    }
  }

  /** Marks a subject as in hand. A suspect waits until no other suspect is in hand. */
  async begin(subject: string): Promise<InHand> {
    const sha256 = sha256Of(subject);
    const isSuspect = this.suspects.has(sha256);
    const endTurn = isSuspect ? await this.waitForTurn() : () => undefined;
    const refusedAfter = this.counted.has(sha256) ? await this.refusedAfter(sha256).catch(() => 0) : 0;
    const slot = refusedAfter > 0 ? undefined : this.mark(sha256, subject);
    let hasEnded = false;
    const end = (): void => {
      if (hasEnded) return;
      hasEnded = true;
      if (slot !== undefined) this.clear(slot);
      endTurn();
    };
    return { refusedAfter, end };
  }

  /** @returns the number of failures, including this one */
  async count(subject: string, error: unknown): Promise<number> {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const { failures } = await this.add(sha256Of(subject), { subject, message: message.slice(0, 500), isDeath: false });
    return failures;
  }

  /** Clears the count of a subject that was taken or has its dead letter. */
  async clearCount(subject: string): Promise<void> {
    const sha256 = sha256Of(subject);
    if (!this.counted.has(sha256)) return;
    const count = await this.find(sha256);
    if (count && refuses(count)) return;
    await deleteOwn(this.options.store, this.keyOf(sha256), 'crashCount');
    this.counted.delete(sha256);
    this.suspects.delete(sha256);
  }

  /** Ends the journal, because the process stops gracefully or for a reason that is no record's fault. */
  close(): void {
    this.journal?.close();
  }

  private async waitForTurn(): Promise<() => void> {
    let endTurn: () => void = () => undefined;
    const before = this.suspectsTurn;
    this.suspectsTurn = new Promise((resolve) => (endTurn = resolve));
    await before;
    return endTurn;
  }

  private async refusedAfter(sha256: string): Promise<number> {
    const count = await this.find(sha256);
    return count && refuses(count) ? count.failures : 0;
  }

  private async find(sha256: string): Promise<Count | null> {
    return (await this.options.store.findJson(this.keyOf(sha256))) as Count | null;
  }

  private async add(sha256: string, { subject, message, isDeath }: { subject: string; message: string; isDeath: boolean }): Promise<Count> {
    const before = await this.find(sha256);
    const count: Count = {
      subject: before?.subject ?? subject,
      failures: (before?.failures ?? 0) + 1,
      deaths: (before?.deaths ?? 0) + (isDeath ? 1 : 0),
      message,
      at: new Date().toISOString(),
    };
    await this.options.store.put(this.keyOf(sha256), JSON.stringify(count));
    this.counted.add(sha256);
    return count;
  }

  private keyOf(sha256: string): string {
    return crashCountKey(this.options.topicPrefix, this.options.stage, sha256);
  }

  private mark(sha256: string, name: string): number | undefined {
    try {
      return this.journal?.mark({ sha256, name });
    } catch {
      return undefined; // on a full disk a death is not counted
    }
  }

  private clear(slot: number): void {
    try {
      this.journal?.clear(slot);
    } catch {
      // The slot keeps its mark until the next record uses it.
    }
  }
}

/** Only deaths refuse a subject. After errors alone, the dead letter ends the count, and the object may be tried again. */
const refuses = ({ failures, deaths, at }: Count): boolean =>
  deaths > 0 && failures >= failureLimit && Date.now() - Date.parse(at) < refusedForMs;

const sha256Of = (subject: string): string => createHash('sha256').update(subject).digest('hex');

/** Deletes the count of a refused subject, so that it is tried again. */
export async function clearCrashCount(store: Objects, place: { topicPrefix: string; stage: string; subject: string }): Promise<void> {
  await deleteOwn(store, crashCountKey(place.topicPrefix, place.stage, sha256Of(place.subject)), 'crashCount');
}
