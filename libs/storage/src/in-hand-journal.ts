/**
 * A small file of what a process has in hand, so that the next one knows on what its predecessor died: of memory, by
 * `kill -9`, by an error outside every promise.
 *
 * It promises: what `mark` returned for stands in the file when the process dies a moment later, however it dies, because
 * the kernel has the bytes by then. Marking costs one small write to a local file and no request. It does not survive the
 * loss of the machine or of its temporary folder: then the death is not counted. A process that stops in good order, or
 * crashes by an error that somebody took responsibility for, removes its file, so nothing is counted.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const slotBytes = 512;
const longestName = 120;
/** A slot that begins with it is in use. */
const inUse = '{';

export interface InHandEntry {
  sha256: string;
  /** The beginning of what is in hand, for people. */
  name: string;
}

export class InHandJournal {
  private static readonly ofThisProcess = new Set<string>();
  private readonly path: string;
  private readonly file: number;
  private readonly free: number[] = [];
  private slots = 0;
  private isClosed = false;

  /** @param folder is this stage's own. @throws if the folder cannot be made or written to */
  constructor(folder: string) {
    makeOwnFolder(folder);
    this.path = join(folder, `${process.pid}-${randomUUID()}.journal`);
    this.file = openSync(this.path, 'wx', 0o600);
    InHandJournal.ofThisProcess.add(this.path);
  }

  /** @returns the slot to clear when it is out of hand */
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

  /** Removes the file: whatever is in hand now, nobody died on it. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    closeSync(this.file);
    rmSync(this.path, { force: true });
    InHandJournal.ofThisProcess.delete(this.path);
  }

  /** What processes that are no more had in hand, by file. Remove a file once its entries are counted. */
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

/** Another user of the machine could write deaths into a folder of theirs. @throws if it is not this user's */
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
        return []; // cut off in the middle
      }
    });
}
