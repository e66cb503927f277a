/** Says in one line that the disk of a folder is full, or nearly so. */
import { statfsSync } from 'node:fs';

/** Kafka, the store and the logs of an embedded stack write this much in minutes. */
const lowMb = 256;

/** @returns null where there is room, or where nobody knows */
export function fullDiskLine(folder: string, roomOf: (folder: string) => number = freeBytes): string | null {
  let freeMb: number;
  try {
    freeMb = Math.floor(roomOf(folder) / 1e6);
  } catch {
    return null;
  }
  if (freeMb >= lowMb) return null;
  const state = freeMb === 0 ? 'is full' : `has only ${freeMb} MB left`;
  return `The disk of ${folder} ${state}. Free some room, or set UNDERTONE_HOME to another disk; nothing is lost, and services wait or start again by themselves.`;
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
