/**
 * Makes the temporary folder that an archive is downloaded to, and removes those that killed processes left: a folder's name
 * says which process of which host it belongs to.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';

const hostLabel = (): string => hostname().replaceAll(/[^A-Za-z0-9.]/g, '.');
const prefix = (): string => `undertone-archive-${hostLabel()}-`;

export const makeArchiveFolder = (parent = tmpdir()): Promise<string> => mkdtemp(join(parent, `${prefix()}${process.pid}-`));

/**
 * Call it before this process makes a folder: those with its own process id are left over too, since a container's first
 * process has the same id after each restart.
 * @returns how many folders it removed
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
    // EPERM: it lives, and belongs to another user.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
