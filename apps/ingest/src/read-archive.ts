/**
 * The entries of a .tar, .tar.gz or .zip file, one after another, under limits. What an archive says of itself is not
 * believed: bytes are counted as they come.
 *
 * Files only: folders, links and devices are passed over. A path that leaves its folder (absolute, `..`, backslashes, control
 * characters) refuses the archive: no honest archiver writes one.
 */
import { createReadStream, statSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { extract as extractTar } from 'tar-stream';
import yauzl from 'yauzl';
import { PipelineError } from '#contracts/pipeline-error.js';

export interface ArchiveLimits {
  entries: number;
  /** Of all entries together, unpacked. */
  totalBytes: number;
  /** Of one entry that is read. */
  entryBytes: number;
  /** Unpacked bytes per byte of the archive, beyond the first 100 MB. */
  ratio: number;
}

export interface ArchiveEntry {
  path: string;
  bytes: Uint8Array;
}

const FREE_OF_RATIO_BYTES = 100e6;
const MAX_PATH_LENGTH = 900; // object keys have 1024 bytes

/**
 * @param wants which paths are read; others are skipped, but counted
 * @throws PipelineError ARCHIVE_INVALID, ARCHIVE_LIMIT_EXCEEDED
 */
export async function* readArchive(file: string, limits: ArchiveLimits, wants: (path: string) => boolean): AsyncGenerator<ArchiveEntry> {
  const meter = new Meter(limits, statSync(file).size);
  try {
    if (await beginsWith(file, [0x50, 0x4b])) yield* zipEntries(file, meter, wants);
    else yield* tarEntries(file, (await beginsWith(file, [0x1f, 0x8b])) ? 'gzip' : 'plain', meter, wants);
  } catch (error) {
    if (error instanceof PipelineError || !isOfTheArchive(error)) throw error;
    throw new PipelineError('ARCHIVE_INVALID', `The archive cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

async function* tarEntries(
  file: string,
  packing: 'gzip' | 'plain',
  meter: Meter,
  wants: (path: string) => boolean,
): AsyncGenerator<ArchiveEntry> {
  const tar = extractTar();
  const source = createReadStream(file);
  const counted = packing === 'gzip' ? source.pipe(createGunzip()) : source;
  for (const stream of [source, counted]) stream.on('error', (error: Error) => tar.destroy(error));
  counted.on('data', (chunk: Buffer) => {
    // Also what lies between entries, and in those that are skipped: a bomb need not be a file.
    const excess = meter.passed(chunk.length);
    if (excess) tar.destroy(excess);
  });
  counted.pipe(tar);
  let seen = 0;
  try {
    for await (const entry of tar) {
      seen++;
      meter.countEntry();
      const path = entry.header.type === 'file' ? safePath(entry.header.name) : null;
      if (path !== null && wants(path)) yield { path, bytes: await meter.read(entry, path) };
      else entry.resume();
    }
  } finally {
    source.destroy();
  }
  if (seen === 0) throw new PipelineError('ARCHIVE_INVALID', 'The archive has no entries');
}

async function* zipEntries(file: string, meter: Meter, wants: (path: string) => boolean): AsyncGenerator<ArchiveEntry> {
  const zip = await yauzl.openPromise(file, { lazyEntries: true, autoClose: false, strictFileNames: false, decodeStrings: true });
  try {
    for await (const entry of zip.eachEntry()) {
      meter.countEntry();
      const path = entry.fileName.endsWith('/') || isLink(entry) ? null : safePath(entry.fileName);
      if (path === null || !wants(path)) continue;
      const stream = await zip.openReadStreamPromise(entry);
      const bytes = await meter.read(stream, path);
      const excess = meter.passed(bytes.length);
      if (excess) throw excess;
      yield { path, bytes };
    }
  } finally {
    zip.close();
  }
}

/** By the Unix mode in the upper half of the external attributes. */
const isLink = (entry: yauzl.Entry): boolean => ((entry.externalFileAttributes >>> 28) & 15) === 10;

/** @returns the path inside the archive, without a leading `./` @throws PipelineError ARCHIVE_INVALID */
function safePath(name: string): string {
  const path = name.replace(/^(?:\.\/)+/, '');

  const unsafe =
    path.startsWith('/') ||
    /[\\\u0000-\u001f\u007f]/.test(path) ||
    path.split('/').some((part) => part === '..') ||
    /^[A-Za-z]:/.test(path);
  if (unsafe || Buffer.byteLength(path) > MAX_PATH_LENGTH) {
    throw new PipelineError('ARCHIVE_INVALID', `The archive has an entry whose path is not safe: ${JSON.stringify(name.slice(0, 200))}`);
  }
  return path;
}

class Meter {
  private entries = 0;
  private totalBytes = 0;

  constructor(
    private readonly limits: ArchiveLimits,
    private readonly archiveBytes: number,
  ) {}

  countEntry(): void {
    if (++this.entries > this.limits.entries) throw exceeded(`more than ${this.limits.entries} entries`);
  }

  /** @returns what is wrong once too much has come */
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
    `The archive is not taken: ${what}. Unpack it and put its files, or raise ARCHIVE_MAX_*`,
  );
}

/** Errors of zlib, tar-stream and yauzl; those of the disk are not the archive's. */
function isOfTheArchive(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return error instanceof Error && (code === '' || code.startsWith('Z_')) && !/ENOSPC/.test(error.message);
}

async function beginsWith(file: string, bytes: number[]): Promise<boolean> {
  for await (const chunk of createReadStream(file, { end: bytes.length - 1 })) return Buffer.from(bytes).equals(chunk as Buffer);
  return false;
}
