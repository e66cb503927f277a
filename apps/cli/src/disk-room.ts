/** Reports in one line that the disk of a folder is full or nearly full. */
import { statfsSync } from 'node:fs';

/** Kafka, the object store and the logs of an embedded stack write this much in minutes. */
const lowMb = 256;

/** @returns null if there is room, or if the free space cannot be read */
export function fullDiskLine(folder: string, roomOf: (folder: string) => number = freeBytes): string | null {
  let freeMb: number;
  try {
    freeMb = Math.floor(roomOf(folder) / 1e6);
  } catch {
    return null;
  }
  if (freeMb >= lowMb) return null;
  const state = freeMb === 0 ? 'is full' : `has only ${freeMb} MB left`;
  return `The disk of ${folder} ${state}. Free some space, or set UNDERTONE_HOME to another disk. Nothing is lost; the services wait or restart by themselves.`;
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
