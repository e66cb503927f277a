/**
 * Makes the temporary folder into which an archive is downloaded, and removes the folders of killed processes. The name of a
 * folder holds the host and the id of its process.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';

const hostLabel = (): string => hostname().replaceAll(/[^A-Za-z0-9.]/g, '.');
const prefix = (): string => `undertone-archive-${hostLabel()}-`;

export const makeArchiveFolder = (parent = tmpdir()): Promise<string> => mkdtemp(join(parent, `${prefix()}${process.pid}-`));

/**
 * Removes folders of dead processes. Call it before this process makes a folder: it also removes folders with the own process id,
 * because the first process of a container has the same id after each restart.
 * @returns the number of removed folders
 */
export async function sweepArchiveFolders(parent = tmpdir()): Promise<number> {
  let removed = 0;
  for (const name of await readdir(parent).catch(() => [])) {
    if (!name.startsWith(prefix())) continue;
    const pid = Number(/^\d+(?=-)/.exec(name.slice(prefix().length))?.[0]);
    if (!pid || (pid !== process.pid && isAlive(pid))) continue;
    await rm(join(parent, name), { recursive: true, force: true });
    removed++;
  }
  return removed;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM means that the process lives and belongs to another user.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
