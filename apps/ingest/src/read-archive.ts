/**
 * Reads the entries of a .tar, .tar.gz or .zip file, one after another, always in the same order, under limits. It does not trust
 * the sizes that an archive states: it counts the bytes as they come.
 *
 * It reads files only, and skips folders, symbolic links and devices. It reads a hard link as its target, after all other entries.
 * A path that leaves its folder (absolute, or with `..`) refuses the archive, because no honest archiver writes one. A path that
 * cannot be an object key (control characters, too long) refuses the archive only if the file is wanted. In a zip, a backslash
 * separates folders, as some Windows programs write it. Names without the UTF-8 flag are CP437.
 */
import { createReadStream, statSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { extract as extractTar } from 'tar-stream';
import yauzl from 'yauzl';
import { PipelineError } from '#contracts/pipeline-error.js';

export interface ArchiveLimits {
  entries: number;
  /** Most bytes of all entries together, unpacked. */
  totalBytes: number;
  /** Most bytes of one entry that is read. */
  entryBytes: number;
  /** Most unpacked bytes per byte of the archive, beyond the first 100 MB. */
  ratio: number;
}

export interface ArchiveEntry {
  path: string;
  bytes: Uint8Array;
}

const FREE_OF_RATIO_BYTES = 100e6;
const MAX_PATH_LENGTH = 900; // object keys have 1024 bytes

export interface EntryChoice {
  /** True for paths to read. Other entries are skipped but counted. */
  wants: (path: string) => boolean;
  /** Number of wanted entries to skip first; each skipped entry lowers it. */
  skip?: { left: number };
}

/** @throws PipelineError ARCHIVE_INVALID, ARCHIVE_LIMIT_EXCEEDED */
export async function* readArchive(
  file: string,
  limits: ArchiveLimits,
  { wants, skip = { left: 0 } }: EntryChoice,
): AsyncGenerator<ArchiveEntry> {
  const meter = new Meter(limits, statSync(file).size);
  const choice = { wants, skip };
  try {
    if (await beginsWith(file, [0x50, 0x4b])) yield* zipEntries(file, meter, choice);
    else yield* tarEntries(file, (await beginsWith(file, [0x1f, 0x8b])) ? 'gzip' : 'plain', meter, choice);
  } catch (error) {
    if (error instanceof PipelineError || !isOfTheArchive(error)) throw error;
    throw new PipelineError('ARCHIVE_INVALID', `The archive cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** @returns true if an earlier attempt has read the next wanted entry */
function isSkipped(skip: { left: number }): boolean {
  if (skip.left === 0) return false;
  skip.left--;
  return true;
}

async function* tarEntries(
  file: string,
  packing: 'gzip' | 'plain',
  meter: Meter,
  { wants, skip }: Required<EntryChoice>,
): AsyncGenerator<ArchiveEntry> {
  /** The hard links to each file, by the path of the file. */
  const linksTo = new Map<string, string[]>();
  const onLink = (path: string, target: string): void => {
    linksTo.set(target, [...(linksTo.get(target) ?? []), path]);
  };
  yield* tarFiles({ file, packing, meter, wants, skip, onLink });
  if (linksTo.size === 0) return;
  // The targets have gone by already, so a second reading finds them.
  const again = { file, packing, meter: meter.anew(), wants: (path: string) => linksTo.has(path), skip: { left: 0 } };
  for await (const { path: target, bytes } of tarFiles({ ...again, onLink: () => undefined })) {
    for (const path of linksTo.get(target) ?? []) if (!isSkipped(skip)) yield { path, bytes };
    linksTo.delete(target);
  }
  for (const [target, [path]] of linksTo) {
    throw new PipelineError('ARCHIVE_INVALID', `The archive has ${shown(path)} as a hard link to ${shown(target)}, which it does not hold`);
  }
}

interface TarReading extends Required<EntryChoice> {
  file: string;
  packing: 'gzip' | 'plain';
  meter: Meter;
  onLink: (path: string, target: string) => void;
}

async function* tarFiles({ file, packing, meter, wants, skip, onLink }: TarReading): AsyncGenerator<ArchiveEntry> {
  const tar = extractTar();
  const source = createReadStream(file);
  const counted = packing === 'gzip' ? source.pipe(createGunzip()) : source;
  for (const stream of [source, counted]) stream.on('error', (error: Error) => tar.destroy(error));
  counted.on('data', (chunk: Buffer) => {
    // Counts bytes between entries and in skipped entries too: a bomb need not be a file.
    const excess = meter.passed(chunk.length);
    if (excess) tar.destroy(excess);
  });
  counted.pipe(tar);
  let seen = 0;
  try {
    for await (const entry of tar) {
      seen++;
      meter.countEntry();
      const { type, name, linkname } = entry.header;
      const path = type === 'file' || type === 'contiguous-file' || type === 'link' ? safePath(name) : null;
      if (path === null || !wants(path)) entry.resume();
      else if (type === 'link') {
        onLink(usablePath(path), safePath(linkname ?? ''));
        entry.resume();
      } else if (isSkipped(skip)) entry.resume();
      else yield { path: usablePath(path), bytes: await meter.read(entry, path) };
    }
  } finally {
    source.destroy();
  }
  if (seen === 0) throw new PipelineError('ARCHIVE_INVALID', 'The archive has no entries');
}

async function* zipEntries(file: string, meter: Meter, { wants, skip }: Required<EntryChoice>): AsyncGenerator<ArchiveEntry> {
  const zip = await yauzl.openPromise(file, { lazyEntries: true, autoClose: false, decodeStrings: false });
  try {
    for await (const entry of zip.eachEntry()) {
      meter.countEntry();
      const name = nameOf(entry);
      const path = name.endsWith('/') || isLink(entry) ? null : safePath(name);
      if (path === null || !wants(path) || isSkipped(skip)) continue;
      const stream = await zip.openReadStreamPromise(entry);
      const bytes = await meter.read(stream, path);
      const excess = meter.passed(bytes.length);
      if (excess) throw excess;
      yield { path: usablePath(path), bytes };
    }
  } finally {
    zip.close();
  }
}

/** Decodes names here, because the library refuses `a: call.wav` as absolute. Backslashes become slashes. */
const nameOf = ({ generalPurposeBitFlag, fileNameRaw, extraFields }: yauzl.Entry): string =>
  yauzl.getFileNameLowLevel(generalPurposeBitFlag, fileNameRaw, extraFields, false);

/** Reads the Unix mode in the upper half of the external attributes. */
const isLink = (entry: yauzl.Entry): boolean => ((entry.externalFileAttributes >>> 28) & 15) === 10;

/** @returns the path inside the archive, without empty and `.` segments @throws PipelineError ARCHIVE_INVALID if it leaves the archive */
function safePath(name: string): string {
  const segments = name.split('/');
  if (name.startsWith('/') || /^[A-Za-z]:[\\/]/.test(name) || segments.includes('..')) {
    throw new PipelineError('ARCHIVE_INVALID', `The archive has an entry whose path leads outside of it: ${shown(name)}`);
  }
  return segments.filter((segment) => segment !== '' && segment !== '.').join('/');
}

/** @throws PipelineError ARCHIVE_INVALID if the path cannot be an object key */
function usablePath(path: string): string {
  if (!/[\\\u0000-\u001f\u007f-\u009f]/.test(path) && Buffer.byteLength(path) <= MAX_PATH_LENGTH) return path;
  throw new PipelineError(
    'ARCHIVE_INVALID',
    `The archive has an entry whose name cannot be an object's: ${shown(path)}. Rename it: at most ${MAX_PATH_LENGTH} bytes, no backslashes, no control characters`,
  );
}

const shown = (path = ''): string => JSON.stringify(path.slice(0, 200));

class Meter {
  private entries = 0;
  private totalBytes = 0;

  constructor(
    private readonly limits: ArchiveLimits,
    private readonly archiveBytes: number,
  ) {}

  /** Resets the counts for another reading of the same archive. */
  anew(): Meter {
    return new Meter(this.limits, this.archiveBytes);
  }

  countEntry(): void {
    if (++this.entries > this.limits.entries) throw exceeded(`more than ${this.limits.entries} entries`);
  }

  /** @returns an error once a limit is exceeded */
  passed(bytes: number): PipelineError | null {
    this.totalBytes += bytes;
    if (this.totalBytes > this.limits.totalBytes) return exceeded(`more than ${this.limits.totalBytes / 1e9} GB unpacked`);
    if (this.totalBytes > FREE_OF_RATIO_BYTES && this.totalBytes > this.limits.ratio * this.archiveBytes) {
      return exceeded(`unpacked it is more than ${this.limits.ratio} times as large`);
    }
    return null;
  }

  async read(stream: AsyncIterable<unknown>, path: string): Promise<Uint8Array> {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > this.limits.entryBytes) throw exceeded(`${path} has more than ${this.limits.entryBytes / 1e6} MB`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }
}

function exceeded(what: string): PipelineError {
  return new PipelineError(
    'ARCHIVE_LIMIT_EXCEEDED',
    `The archive exceeds a limit: ${what}. Unpack it and put its files, or raise ARCHIVE_MAX_*`,
  );
}

/** True for errors of zlib, tar-stream and yauzl. Errors of the disk are not the archive's fault. */
function isOfTheArchive(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return error instanceof Error && (code === '' || code.startsWith('Z_')) && !/ENOSPC/.test(error.message);
}

async function beginsWith(file: string, bytes: number[]): Promise<boolean> {
  for await (const chunk of createReadStream(file, { end: bytes.length - 1 })) return Buffer.from(bytes).equals(chunk as Buffer);
  return false;
}
