/**
 * Limits the memory of an ffmpeg process, so that a malicious file costs only its own decoder. Linux counts the memory that
 * the process may write to (RLIMIT_DATA), without the code of its libraries. An allocation beyond the limit fails inside ffmpeg.
 *
 * `prlimit` (util-linux) sets the limit right after the start, because fluent-ffmpeg starts the process without a shell.
 *
 * There is no limit where there is no `prlimit`: on macOS, on Windows, in images without util-linux.
 */
import { spawnSync } from 'node:child_process';

/**
 * Limit of the memory that an ffmpeg process may write to. ffmpeg 5.1 of Debian and a static ffmpeg 9.0 declare 42 to 67 MB that they
 * never touch. The sound of a 4K film takes 76 MB with these.
 */
export const ffmpegMemoryBytes = 104e6;
/** Most memory that a process within the limit has in use: 44 MB in Debian's ffmpeg, 27 MB in the static one. */
export const ffmpegResidentBytes = 48e6;

let works: boolean | undefined;

/** True if this machine can limit the memory of another process. */
export function canLimitMemory(): boolean {
  works ??= spawnSync('prlimit', ['--version'], { stdio: 'ignore' }).status === 0;
  return works;
}

/** @param pid undefined if the process did not start */
export function limitMemory(pid: number | undefined): void {
  if (pid === undefined || !canLimitMemory()) return;
  spawnSync('prlimit', ['--pid', String(pid), `--data=${ffmpegMemoryBytes}`], { stdio: 'ignore' }); // it may have ended already
}
