/**
 * Puts recordings into temporary files for ffmpeg, and removes the files that killed processes left.
 *
 * On a full disk it waits (DISK_FULL_WAITING), because the recording is not at fault.
 */
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PipelineError } from '#contracts/pipeline-error.js';

const PREFIX = 'undertone-audio-';

/** @param work gets the path of a file with `bytes`, which is deleted afterwards. @throws DISK_FULL_WAITING */
export async function withTemporaryFile<Result>(bytes: Uint8Array, work: (path: string) => Promise<Result>): Promise<Result> {
  let folder: string | undefined;
  try {
    folder = await mkdtemp(join(tmpdir(), PREFIX)).catch(asDiskFull);
    const path = join(folder, 'audio');
    await writeFile(path, bytes).catch(asDiskFull);
    return await work(path);
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

function asDiskFull(error: NodeJS.ErrnoException): never {
  if (error.code !== 'ENOSPC' && error.code !== 'EDQUOT') throw error;
  throw new PipelineError(
    'DISK_FULL_WAITING',
    `The disk of ${tmpdir()} is full (${error.code}), so a recording could not be written there for ffmpeg. It waits until there is room. Free some space, or set TMPDIR to another disk.`,
    { cause: error },
  );
}

/**
 * Removes folders of recordings that no process can still use. Other processes share the temporary folder: a young folder may be theirs.
 * @param longestMs longest time that a recording may take
 * @returns the number of removed folders
 */
export async function sweepTemporaryAudio(longestMs: number): Promise<number> {
  let removed = 0;
  for (const name of await readdir(tmpdir()).catch(() => [])) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(tmpdir(), name);
    const age = await stat(folder).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0, // it was just deleted
    );
    if (age <= longestMs) continue;
    await rm(folder, { recursive: true, force: true }).then(
      () => removed++,
      () => undefined, // it belongs to another user
    );
  }
  return removed;
}
