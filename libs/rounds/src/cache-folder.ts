/**
 * One process's own sub-folder of the shard cache. Several processes of one host may share the cache: each one deletes
 * what its own view does not name, and so must not see the files of another.
 *
 * The name of a sub-folder says who owns it: host, process id, the process's start, a number. That name is the lock. Whoever
 * takes over the sub-folder of a dead owner renames it, and of two who try only one succeeds. A process of another host (or of
 * another container) counts as dead when it has not touched its sub-folder for ten minutes.
 *
 * Delivery: a file of a live owner is never deleted by another. The cache of a dead owner is adopted by the next process
 * that starts, or deleted when another prepares a round.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

const touchEveryMs = 60_000;
const deadAfterMs = 10 * touchEveryMs;
/** Nothing but files of these names is ever touched, wherever somebody has put the cache. */
const shardFile = /^([0-9a-f]{64})\.arrow(?:\.part)?$/;
const ownedFolder = /^cache-([0-9a-f]{12})-(\d+)-(\d+)-\d+$/;
const freeFolder = /^cache-free-/;

export class CacheFolder {
  private static claims = 0;
  private readonly timer: NodeJS.Timeout;

  private constructor(
    private readonly base: string,
    readonly path: string,
  ) {
    this.timer = setInterval(() => this.touch(), touchEveryMs).unref();
  }

  /** Adopts a sub-folder that nobody owns any more, with its files, or makes one. Deletes the others that nobody owns. */
  static claim(base: string): CacheFolder {
    mkdirSync(base, { recursive: true });
    const path = join(base, CacheFolder.nextName());
    const isAdopted = abandoned(base).some((folder) => wasRenamed(folder, path));
    if (!isAdopted) mkdirSync(path);
    const claimed = new CacheFolder(base, path);
    claimed.touch();
    claimed.takeLooseFiles();
    claimed.sweep();
    return claimed;
  }

  /** Deletes the sub-folders of owners that have died: the files of erased utterances are among theirs too. */
  sweep(): void {
    for (const folder of abandoned(this.base)) {
      const doomed = join(this.base, CacheFolder.nextName());
      if (!wasRenamed(folder, doomed)) continue;
      for (const name of readdirSync(doomed)) if (shardFile.test(name)) rmSync(join(doomed, name), { force: true });
      if (readdirSync(doomed).length === 0) rmdirSync(doomed);
      else renameSync(doomed, folder);
    }
  }

  /** Deletes the files of all shards but these. */
  keepOnly(shardIds: { has(shardId: string): boolean }): void {
    for (const name of readdirSync(this.path)) {
      const [, shardId = ''] = shardFile.exec(name) ?? [];
      if (shardId && !shardIds.has(shardId)) rmSync(join(this.path, name));
    }
  }

  pathOf(shardId: string): string {
    return join(this.path, `${shardId}.arrow`);
  }

  /** The next process that starts may have the files. */
  release(): void {
    clearInterval(this.timer);
    if (existsSync(this.path)) renameSync(this.path, join(this.base, `cache-free-${process.pid}-${Date.now()}-${CacheFolder.claims++}`));
  }

  private static nextName(): string {
    return `cache-${host}-${process.pid}-${startOf(process.pid) ?? 0}-${CacheFolder.claims++}`;
  }

  /** Where there were no sub-folders yet, the files lay beside them. */
  private takeLooseFiles(): void {
    for (const name of readdirSync(this.base)) if (shardFile.test(name)) wasRenamed(join(this.base, name), join(this.path, name));
  }

  private touch(): void {
    const now = new Date();
    if (existsSync(this.path)) utimesSync(this.path, now, now);
  }
}

/** Sub-folders without a live owner, the ones with files first. */
function abandoned(base: string): string[] {
  const names = readdirSync(base).filter((name) => freeFolder.test(name) || (ownedFolder.test(name) && !hasLiveOwner(base, name)));
  const folders = names.map((name) => join(base, name));
  const filesIn = (folder: string): number => (existsSync(folder) ? readdirSync(folder).length : 0);
  return folders.sort((a, b) => filesIn(b) - filesIn(a));
}

function hasLiveOwner(base: string, name: string): boolean {
  const [, ownerHost, pid, start] = ownedFolder.exec(name) ?? [];
  const now = ownerHost === host ? startOf(Number(pid)) : undefined;
  // Where the system tells when a process began, an id that another process has by now cannot mislead.
  if (ownerHost === host && (hasStarts || now === null)) return now === Number(start);
  return Date.now() - (statSync(join(base, name), { throwIfNoEntry: false })?.mtimeMs ?? 0) < deadAfterMs;
}

/** @returns false if another was faster */
function wasRenamed(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

const hasStarts = existsSync('/proc/self/stat');

/** When a process began, in ticks since the machine did; 0 where the system does not say. @returns null if there is no such process */
function startOf(pid: number): number | null {
  if (!hasStarts) return isRunning(pid) ? 0 : null;
  try {
    // The second field, in brackets, is a name that may hold anything.
    const [, fields = ''] = /^.*\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    const [state, ...rest] = fields.split(' ');
    return state === 'Z' ? null : Number(rest[18]);
  } catch {
    return null;
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Process ids mean something within one name space of one machine, since it was started. */
const host = createHash('sha256')
  .update(
    [
      hostname(),
      textOf(() => readlinkSync('/proc/self/ns/pid')),
      textOf(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    ].join('\n'),
  )
  .digest('hex')
  .slice(0, 12);

function textOf(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
