/**
 * A small file that lists the records in hand, so that the next process knows with which records its predecessor died: out of
 * memory, by `kill -9`, or by an error outside every promise.
 *
 * It promises: once `mark` has returned, the record stands in the file however the process dies, because the kernel has the bytes.
 * A mark costs one small write to a local file and no request. The file does not survive the loss of the machine or of its
 * temporary folder; then the death is not counted. A process that stops gracefully, or crashes through `crashProcess`, removes its
 * file, so nothing is counted.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const slotBytes = 512;
const longestName = 120;
/** A used slot begins with this character. */
const inUse = '{';

export interface InHandEntry {
  sha256: string;
  /** The beginning of the subject's name, for people. */
  name: string;
}

export class InHandJournal {
  private static readonly ofThisProcess = new Set<string>();
  private readonly path: string;
  private readonly file: number;
  private readonly free: number[] = [];
  private slots = 0;
  private isClosed = false;

  /** @param folder used by this stage only @throws if the folder cannot be created or written to */
  constructor(folder: string) {
    makeOwnFolder(folder);
    this.path = join(folder, `${process.pid}-${randomUUID()}.journal`);
    this.file = openSync(this.path, 'wx', 0o600);
    InHandJournal.ofThisProcess.add(this.path);
  }

  /** @returns the slot, to clear it later */
  mark(entry: InHandEntry): number {
    const slot = this.free.pop() ?? this.slots++;
    if (this.isClosed) return slot;
    const line = JSON.stringify({ ...entry, name: entry.name.slice(0, longestName) });
    const bytes = Buffer.alloc(slotBytes, ' ');
    bytes.write(Buffer.byteLength(line) < slotBytes ? line : JSON.stringify({ ...entry, name: '' }));
    bytes.write('\n', slotBytes - 1);
    writeSync(this.file, bytes, 0, slotBytes, slot * slotBytes);
    return slot;
  }

  clear(slot: number): void {
    this.free.push(slot);
    if (!this.isClosed) writeSync(this.file, ' ', slot * slotBytes);
  }

  /** Removes the file, so that no death is counted for the records in hand. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    closeSync(this.file);
    rmSync(this.path, { force: true });
    InHandJournal.ofThisProcess.delete(this.path);
  }

  /** Reads the journals of dead processes, by file. Remove a file once its entries are counted. */
  static leftBehind(folder: string): { path: string; entries: InHandEntry[] }[] {
    makeOwnFolder(folder);
    return readdirSync(folder)
      .filter((name) => name.endsWith('.journal'))
      .map((name) => ({ path: join(folder, name), pid: Number.parseInt(name, 10) }))
      .filter(({ path, pid }) => !InHandJournal.ofThisProcess.has(path) && (pid === process.pid || !isAlive(pid)))
      .map(({ path }) => ({ path, entries: readEntries(path) }));
  }

  static remove(path: string): void {
    rmSync(path, { force: true });
  }
}

/** Refuses a folder of another user, who could write false deaths into it. @throws if the folder is not this user's */
function makeOwnFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const path of [dirname(folder), folder]) {
    const { uid } = lstatSync(path);
    if (process.getuid && uid !== process.getuid()) throw new Error(`${path} belongs to user ${uid}, not to the user of this process`);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function readEntries(path: string): InHandEntry[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(inUse))
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as InHandEntry];
      } catch {
        return []; // the entry was cut off
      }
    });
}
