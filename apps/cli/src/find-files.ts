/**
 * Finds the files that `put` may send: all files in a folder and links to files, except hidden ones. It reads names as bytes,
 * because a file name need not be UTF-8 and an object key must be.
 *
 * It does not follow links to folders: a link may lead back to a folder that contains it.
 */
import { readdirSync, type Dirent, type Stats, statSync } from 'node:fs';
import { PipelineError } from '#contracts/pipeline-error.js';

export interface FoundFile {
  /** Path inside the folder, with slashes. */
  path: string;
  sizeBytes: number;
}

export interface PathProblem {
  /** Printable path: bytes that are not UTF-8 are written like \xfc. */
  path: string;
  why: string;
}

export interface FoundFiles {
  /** Ordered by path. */
  files: FoundFile[];
  /** Files and folders that cannot be read, or whose name cannot be a key. */
  unusable: PathProblem[];
  /** Neither files nor folders: devices, pipes, sockets, links to folders. */
  passedOver: PathProblem[];
}

/** @throws PipelineError CONFIG_INVALID if there is no such folder */
export function findFiles(folder: string): FoundFiles {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new PipelineError('CONFIG_INVALID', `${folder}: there is no such folder. Check the path.`);
  const found: FoundFiles = { files: [], unusable: [], passedOver: [] };
  const folders: Buffer[] = [Buffer.alloc(0)];
  for (let inside = folders.pop(); inside; inside = folders.pop()) {
    for (const entry of entriesOf(folder, inside, found)) {
      if (entry.name[0] === dot) continue;
      const bytes = inside.length === 0 ? entry.name : Buffer.concat([inside, slash, entry.name]);
      if (entry.isDirectory()) folders.push(bytes);
      else addFile(entry, { folder, bytes }, found);
    }
  }
  found.files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return found;
}

const dot = 0x2e;
const slash = Buffer.from('/');
const placeOf = (folder: string, bytes: Buffer): Buffer => Buffer.concat([Buffer.from(folder), slash, bytes]);

function entriesOf(folder: string, inside: Buffer, { unusable }: FoundFiles): Dirent<Buffer>[] {
  try {
    return readdirSync(placeOf(folder, inside), { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    unusable.push({ path: inside.length === 0 ? folder : `${printable(inside)}/`, why: (error as Error).message });
    return [];
  }
}

function addFile(entry: Dirent<Buffer>, { folder, bytes }: { folder: string; bytes: Buffer }, found: FoundFiles): void {
  const path = bytes.toString();
  const problem = (why: string): PathProblem => ({ path: printable(bytes), why });
  if (!entry.isFile() && !entry.isSymbolicLink()) {
    found.passedOver.push(problem('it is a pipe, a socket or a device'));
    return;
  }
  let stats: Stats;
  try {
    stats = statSync(placeOf(folder, bytes));
  } catch (error) {
    const isLost = entry.isSymbolicLink() && (error as NodeJS.ErrnoException).code === 'ENOENT';
    found.unusable.push(problem(isLost ? 'it is a link to a file that is not there' : (error as Error).message));
    return;
  }
  if (stats.isDirectory()) found.passedOver.push(problem('it is a link to a folder'));
  else if (!stats.isFile()) found.passedOver.push(problem('it is a pipe, a socket or a device'));
  else if (!Buffer.from(path).equals(bytes)) found.unusable.push(problem('its name is not UTF-8, and a key must be. Rename the file'));
  else found.files.push({ path, sizeBytes: stats.size });
}

function printable(bytes: Buffer): string {
  const path = bytes.toString();
  if (Buffer.from(path).equals(bytes)) return path;
  return [...bytes].map((byte) => (byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`)).join('');
}
