/**
 * A sub-folder of the shard cache that belongs to one process. Several processes of one host may share the cache. Each
 * process deletes the files that its own view does not name, so it must not see the files of another.
 *
 * The name of a sub-folder states its owner: host, process id, start of the process, a number. The name is the lock. A
 * process takes over the sub-folder of a dead owner by renaming it. If two try, only one succeeds. A process of another
 * host or container counts as dead if it has not touched its sub-folder for ten minutes.
 *
 * Delivery: no process deletes a file of another live owner. The next process that starts adopts the cache of a dead
 * owner, or another process deletes it when it prepares a round.
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
/** Only files with these names are ever moved or deleted, wherever the cache lies. */
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

  /** Adopts a sub-folder without an owner, with its files, or makes a new one. Deletes the other sub-folders without an owner. */
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

  /** Deletes the sub-folders of dead owners, because they hold files of erased utterances too. */
  sweep(): void {
    for (const folder of abandoned(this.base)) {
      const doomed = join(this.base, CacheFolder.nextName());
      if (!wasRenamed(folder, doomed)) continue;
      for (const name of readdirSync(doomed)) if (shardFile.test(name)) rmSync(join(doomed, name), { force: true });
      if (readdirSync(doomed).length === 0) rmdirSync(doomed);
      else renameSync(doomed, folder);
    }
  }

  /** Deletes the files of all other shards. */
  keepOnly(shardIds: { has(shardId: string): boolean }): void {
    for (const name of readdirSync(this.path)) {
      const [, shardId = ''] = shardFile.exec(name) ?? [];
      if (shardId && !shardIds.has(shardId)) rmSync(join(this.path, name));
    }
  }

  pathOf(shardId: string): string {
    return join(this.path, `${shardId}.arrow`);
  }

  /** Gives the files to the next process that starts. */
  release(): void {
    clearInterval(this.timer);
    if (existsSync(this.path)) renameSync(this.path, join(this.base, `cache-free-${process.pid}-${Date.now()}-${CacheFolder.claims++}`));
  }

  private static nextName(): string {
    return `cache-${host}-${process.pid}-${startOf(process.pid) ?? 0}-${CacheFolder.claims++}`;
  }

  /** Old releases had no sub-folders: their files lie in the cache folder itself. */
  private takeLooseFiles(): void {
    for (const name of readdirSync(this.base)) if (shardFile.test(name)) wasRenamed(join(this.base, name), join(this.path, name));
  }

  private touch(): void {
    const now = new Date();
    if (existsSync(this.path)) utimesSync(this.path, now, now);
  }
}

/** Sub-folders without a live owner. Those with files come first. */
function abandoned(base: string): string[] {
  const names = readdirSync(base).filter((name) => freeFolder.test(name) || (ownedFolder.test(name) && !hasLiveOwner(base, name)));
  const folders = names.map((name) => join(base, name));
  const filesIn = (folder: string): number => (existsSync(folder) ? readdirSync(folder).length : 0);
  return folders.sort((a, b) => filesIn(b) - filesIn(a));
}

function hasLiveOwner(base: string, name: string): boolean {
  const [, ownerHost, pid, start] = ownedFolder.exec(name) ?? [];
  const now = ownerHost === host ? startOf(Number(pid)) : undefined;
  // If the system tells when a process began, a process id that was given out again does not mislead.
  if (ownerHost === host && (hasStarts || now === null)) return now === Number(start);
  return Date.now() - (statSync(join(base, name), { throwIfNoEntry: false })?.mtimeMs ?? 0) < deadAfterMs;
}

/** @returns false if another process was faster */
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

/** Start of a process in ticks since the machine booted; 0 if the system does not tell it. @returns null if there is no such process */
function startOf(pid: number): number | null {
  if (!hasStarts) return isRunning(pid) ? 0 : null;
  try {
    // The second field, in brackets, is a name that may hold any character.
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

/** A process id is unique only within one PID name space of one machine, since its boot. */
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
