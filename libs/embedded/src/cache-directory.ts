/**
 * Caches the parts that `undertone setup` fetches and builds, in `UNDERTONE_CACHE`, else `$XDG_CACHE_HOME/undertone`, else
 * `~/.cache/undertone`. Each part and version has one folder, which is complete or absent:
 *
 * - A part is made in a temporary folder beside it, then renamed. Its `.ok` file lists every file with its size, and the
 *   verification. If a listed file is gone or has another size, the part is made again.
 * - A lock file keeps two processes from making the same part at the same time. A process takes over the lock of a dead one.
 *
 * Not promised: after the first verification, the cache does not notice a changed file of the same size.
 */
import { createHash } from 'node:crypto';
import { createReadStream, type Dirent } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError } from '#contracts/pipeline-error.js';

export interface Stamp {
  /** The verification, as text for people: "45 jars, sha256 of jars.sha256". */
  verified: string;
  createdAt: string;
  /** Bytes of all files together. */
  sizeBytes: number;
  files: { path: string; sizeBytes: number }[];
}

export interface ProvisionedFolder {
  path: string;
  /** False if the part was already in the cache. */
  fresh: boolean;
  stamp: Stamp;
}

/** The third argument of each `provision…` function. */
export interface PartOptions {
  /** Called when the part is not in the cache and is made now, so that the caller can print a progress line. */
  onMake?: () => void;
}

/** Root of the cache, made on first use. */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  const chosen = env['UNDERTONE_CACHE'];
  if (chosen) return resolve(chosen);
  const xdg = env['XDG_CACHE_HOME'];
  return join(xdg ? resolve(xdg) : join(homedir(), '.cache'), 'undertone');
}

/** The folder's stamp if the folder is complete: `.ok` is readable and every listed file has its size. */
export async function readStamp(folder: string): Promise<Stamp | undefined> {
  try {
    const stamp = JSON.parse(await readFile(join(folder, '.ok'), 'utf8')) as Stamp;
    const sizes = await Promise.all(stamp.files.map(async (file) => (await stat(join(folder, file.path))).size));
    return sizes.every((size, at) => size === stamp.files[at]?.sizeBytes) ? stamp : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Returns the complete folder `<root>/<name>`. If it is absent, `make` fills a temporary folder and returns a text about its
 * verification. If `make` throws, no folder is left.
 * @throws PipelineError `DISK_FULL`, `SETUP_FAILED` (the cache is not writable), or the error of `make`.
 */
export async function provisionFolder(
  root: string,
  name: string,
  make: (temporary: string) => Promise<string>,
  { onMake }: PartOptions = {},
): Promise<ProvisionedFolder> {
  const path = join(root, name);
  const present = await readStamp(path);
  if (present) return { path, fresh: false, stamp: present };
  return naming(root, () =>
    withLock(join(root, `${name}.lock`), async () => {
      const madeMeanwhile = await readStamp(path);
      if (madeMeanwhile) return { path, fresh: false, stamp: madeMeanwhile };
      const temporary = join(root, `.making-${name}-${process.pid}`);
      try {
        onMake?.();
        await removeLeftBehind(root, name);
        await mkdir(temporary, { recursive: true });
        const stamp = await writeStamp(temporary, await make(temporary));
        await rm(path, { recursive: true, force: true });
        await rename(temporary, path);
        return { path, fresh: true, stamp };
      } finally {
        await rm(temporary, { recursive: true, force: true });
      }
    }),
  );
}

/** Removes temporary folders of killed processes. The caller holds the lock, so nobody uses them. */
async function removeLeftBehind(root: string, name: string): Promise<void> {
  for (const entry of await readdir(root)) {
    if (entry.startsWith(`.making-${name}-`)) await rm(join(root, entry), { recursive: true, force: true });
  }
}

async function writeStamp(folder: string, verified: string): Promise<Stamp> {
  const files = await listFiles(folder);
  const stamp: Stamp = {
    verified,
    createdAt: new Date().toISOString(),
    sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
    files,
  };
  await writeFile(join(folder, '.ok'), `${JSON.stringify(stamp, null, 1)}\n`);
  return stamp;
}

async function listFiles(folder: string): Promise<Stamp['files']> {
  const entries: Dirent[] = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile() && entry.name !== '.ok').map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(paths.sort().map(async (path) => ({ path: relative(folder, path), sizeBytes: (await stat(path)).size })));
}

/** Turns file system errors into one line that names the cache and the variable that moves it. */
async function naming<T>(root: string, act: () => Promise<T>): Promise<T> {
  try {
    await mkdir(root, { recursive: true });
    return await act();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new PipelineError(
        'DISK_FULL',
        `the disk of the cache ${root} is full: free about 2 GB there, or set UNDERTONE_CACHE to a folder on another disk`,
        { cause },
      );
    }
    if (code !== undefined && ['EACCES', 'EROFS', 'EPERM', 'ENOTDIR', 'EEXIST'].includes(code)) {
      throw new PipelineError('SETUP_FAILED', `the cache ${root} is not writable: set UNDERTONE_CACHE to a writable folder`, { cause });
    }
    throw cause;
  }
}

const lockHeartbeatMs = 5_000;
const lockStaleMs = 60_000;

/**
 * Runs `act` while holding the lock `file`. Waits for another holder. Takes over from a holder that is dead (same machine, process
 * gone) or silent for a minute (another machine on a shared disk).
 */
export async function withLock<T>(file: string, act: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      const handle = await open(file, 'wx');
      await handle.writeFile(JSON.stringify({ pid: process.pid, host: hostname() }));
      await handle.close();
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (await isAbandoned(file)) await takeAway(file);
      else await sleep(150);
    }
  }
  const heartbeat = setInterval(() => void utimes(file, new Date(), new Date()).catch(() => undefined), lockHeartbeatMs);
  heartbeat.unref();
  try {
    return await act();
  } finally {
    clearInterval(heartbeat);
    await unlink(file).catch(() => undefined);
  }
}

async function isAbandoned(file: string): Promise<boolean> {
  try {
    const ageMs = Date.now() - (await stat(file)).mtimeMs;
    if (ageMs > lockStaleMs) return true;
    const text = await readFile(file, 'utf8');
    if (text === '') return ageMs > 2_000; // its holder is between creating and writing the lock, or died there
    const holder = JSON.parse(text) as { pid: number; host: string };
    return holder.host === hostname() && holder.pid !== process.pid && !isAlive(holder.pid);
  } catch {
    return false; // the lock was released just now: the next try decides
  }
}

/** Renames the lock before deleting it. If two processes see the same dead holder, only one gets the file, and never a newer lock. */
async function takeAway(file: string): Promise<void> {
  const aside = `${file}.dead-${process.pid}`;
  try {
    await rename(file, aside);
    await unlink(aside);
  } catch {
    // another process was faster
  }
}

/** True if a process with this id exists on this machine. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Lower-case hexadecimal SHA-256 of a file, streamed. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
