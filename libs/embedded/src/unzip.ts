/**
 * Extracts chosen members of a zip archive, such as a 200 MB Python wheel, without unpacking the rest and without the `unzip`
 * program. It reads zip64, and stored and deflated members. It does not read encrypted or multi-part archives.
 *
 * Source: PKWARE APPNOTE 6.3, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14–16 (end records), 4.5.3 (zip64).
 * It checks the CRC-32 of each member. The caller has verified the whole archive by hash before.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname, isAbsolute, normalize, sep } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createInflateRaw, crc32 } from 'node:zlib';
import { PipelineError } from '#contracts/pipeline-error.js';

interface ZipMember {
  name: string;
  /** 0 stored, 8 deflated. */
  method: number;
  crc32: number;
  compressedBytes: number;
  sizeBytes: number;
  localHeaderOffset: number;
}

/**
 * Writes the members for which `pick` returns an absolute path, and returns these paths. It makes folders as needed.
 * @throws PipelineError `SETUP_FAILED` if the archive is damaged.
 */
export async function unzip(archive: string, pick: (memberName: string) => string | undefined): Promise<string[]> {
  const file = await open(archive, 'r');
  try {
    const written: string[] = [];
    for (const member of await listMembers(file, archive)) {
      if (member.name.endsWith('/')) continue;
      const target = pick(member.name);
      if (target === undefined) continue;
      await mkdir(dirname(target), { recursive: true });
      await writeMember(file, archive, member, target);
      written.push(target);
    }
    return written;
  } finally {
    await file.close();
  }
}

/** Joins `folder` with a member's name. Returns undefined if the path would leave the folder, so that the member is skipped. */
export function insideFolder(folder: string, memberName: string): string | undefined {
  const path = normalize(memberName);
  return isAbsolute(path) || path === '..' || path.startsWith(`..${sep}`) ? undefined : `${folder}${sep}${path}`;
}

async function writeMember(file: FileHandle, archive: string, member: ZipMember, target: string): Promise<void> {
  const header = await readAt(file, member.localHeaderOffset, 30);
  if (header.readUInt32LE(0) !== 0x04034b50) throw damaged(archive, `${member.name} has no local header`);
  const start = member.localHeaderOffset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  const compressed =
    member.compressedBytes === 0
      ? Readable.from([])
      : createReadStream(archive, { start, end: start + member.compressedBytes - 1, highWaterMark: 1 << 20 });
  let sizeBytes = 0;
  let checksum = 0;
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sizeBytes += chunk.length;
      checksum = crc32(chunk, checksum);
      done(null, chunk);
    },
  });
  const out = createWriteStream(target);
  try {
    if (member.method === 8) await pipeline(compressed, createInflateRaw({ chunkSize: 1 << 20 }), check, out);
    else if (member.method === 0) await pipeline(compressed, check, out);
    else throw damaged(archive, `${member.name} uses compression method ${member.method}`);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code?.startsWith('Z_')) throw damaged(archive, `${member.name} does not inflate`, cause);
    throw cause;
  }
  if (sizeBytes !== member.sizeBytes || checksum !== member.crc32) throw damaged(archive, `${member.name} has another size or checksum`);
}

async function listMembers(file: FileHandle, archive: string): Promise<ZipMember[]> {
  const { count, offset, lengthBytes } = await findDirectory(file, archive);
  const directory = await readAt(file, offset, lengthBytes);
  const members: ZipMember[] = [];
  let at = 0;
  for (let index = 0; index < count; index++) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== 0x02014b50) throw damaged(archive, 'its directory is cut off');
    const nameBytes = directory.readUInt16LE(at + 28);
    const extraBytes = directory.readUInt16LE(at + 30);
    const commentBytes = directory.readUInt16LE(at + 32);
    const extra = directory.subarray(at + 46 + nameBytes, at + 46 + nameBytes + extraBytes);
    members.push({
      name: directory.toString('utf8', at + 46, at + 46 + nameBytes),
      method: directory.readUInt16LE(at + 10),
      crc32: directory.readUInt32LE(at + 16),
      ...wideSizes(extra, {
        compressedBytes: directory.readUInt32LE(at + 20),
        sizeBytes: directory.readUInt32LE(at + 24),
        localHeaderOffset: directory.readUInt32LE(at + 42),
      }),
    });
    at += 46 + nameBytes + extraBytes + commentBytes;
  }
  return members;
}

type Sizes = Pick<ZipMember, 'compressedBytes' | 'sizeBytes' | 'localHeaderOffset'>;

/** A field with the value 0xffffffff has its 64-bit number in extra field 1, in this order. */
function wideSizes(extra: Buffer, sizes: Sizes): Sizes {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue;
    let value = at + 4;
    const wide = { ...sizes };
    for (const field of ['sizeBytes', 'compressedBytes', 'localHeaderOffset'] as const) {
      if (sizes[field] !== 0xffffffff) continue;
      wide[field] = Number(extra.readBigUInt64LE(value));
      value += 8;
    }
    return wide;
  }
  return sizes;
}

async function findDirectory(file: FileHandle, archive: string): Promise<{ count: number; offset: number; lengthBytes: number }> {
  const { size } = await file.stat();
  const tailBytes = Math.min(size, 22 + 0xffff + 20);
  const tail = await readAt(file, size - tailBytes, tailBytes);
  const end = tail.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0 || end + 22 > tail.length) throw damaged(archive, 'it is not a zip file');
  const locator = end - 20;
  if (locator >= 0 && tail.readUInt32LE(locator) === 0x07064b50) {
    const wide = await readAt(file, Number(tail.readBigUInt64LE(locator + 8)), 56);
    return {
      count: Number(wide.readBigUInt64LE(32)),
      lengthBytes: Number(wide.readBigUInt64LE(40)),
      offset: Number(wide.readBigUInt64LE(48)),
    };
  }
  return { count: tail.readUInt16LE(end + 10), lengthBytes: tail.readUInt32LE(end + 12), offset: tail.readUInt32LE(end + 16) };
}

async function readAt(file: FileHandle, position: number, lengthBytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(lengthBytes);
  const { bytesRead } = await file.read(buffer, 0, lengthBytes, position);
  return buffer.subarray(0, bytesRead);
}

function damaged(archive: string, why: string, cause?: unknown): PipelineError {
  return new PipelineError('SETUP_FAILED', `${archive} is damaged: ${why}`, { cause });
}
