/**
 * Limits the memory of an ffmpeg process, so that a file made to need gigabytes costs its own decoder and nothing else. Linux
 * counts what the process may write to (RLIMIT_DATA): its libraries' code is no part of it. An allocation beyond it fails inside ffmpeg.
 *
 * `prlimit` (util-linux) sets the limit right after the start: fluent-ffmpeg starts the process itself, without a shell.
 *
 * Does not promise a limit where there is no `prlimit`: on macOS, on Windows, in images without util-linux.
 */
import { spawnSync } from 'node:child_process';

/** Twice what decoding the sound of a film in 4K takes (ffmpeg 5.1); speech takes a tenth. */
export const ffmpegMemoryBytes = 128e6;

let works: boolean | undefined;

/** Whether this machine can limit the memory of another process. */
export function canLimitMemory(): boolean {
  works ??= spawnSync('prlimit', ['--version'], { stdio: 'ignore' }).status === 0;
  return works;
}

/** @param pid undefined: the process did not start */
export function limitMemory(pid: number | undefined): void {
  if (pid === undefined || !canLimitMemory()) return;
  spawnSync('prlimit', ['--pid', String(pid), `--data=${ffmpegMemoryBytes}`], { stdio: 'ignore' }); // it may have ended already
}
