/**
 * Puts recordings into temporary files for ffmpeg, and takes away what killed processes left of them.
 *
 * A full disk is waited out (DISK_FULL_WAITING): the recording is not to blame.
 */
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PipelineError } from '#contracts/pipeline-error.js';

const PREFIX = 'undertone-audio-';

/** @param work gets the path of a file with `bytes`, which is gone afterwards. @throws DISK_FULL_WAITING */
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
    `The disk of ${tmpdir()} is full (${error.code}): a recording could not be written there for ffmpeg. It waits until there is room; free some, or set TMPDIR to another disk`,
    { cause: error },
  );
}

/**
 * Removes folders of recordings that nobody can be at any more. Others use the same temporary folder: a young one is theirs.
 * @param longestMs that a recording may take
 * @returns how many were removed
 */
export async function sweepTemporaryAudio(longestMs: number): Promise<number> {
  let removed = 0;
  for (const name of await readdir(tmpdir()).catch(() => [])) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(tmpdir(), name);
    const age = await stat(folder).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0, // it has just gone
    );
    if (age <= longestMs) continue;
    await rm(folder, { recursive: true, force: true }).then(
      () => removed++,
      () => undefined, // another user's
    );
  }
  return removed;
}
