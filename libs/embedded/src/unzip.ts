/**
 * Extracts chosen members of a zip archive, such as a 200 MB Python wheel, without unpacking the rest and without the `unzip`
 * program. yauzl reads the archive. yauzl checks the size of each member, and this file its CRC-32, which yauzl leaves to its
 * caller. The caller of this file has verified the whole archive by hash before.
 */
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, isAbsolute, normalize, sep } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32 } from 'node:zlib';
import yauzl from 'yauzl';
import { PipelineError } from '#contracts/pipeline-error.js';

/**
 * Writes the members for which `pick` returns an absolute path, and returns these paths. It makes folders as needed.
 * @throws PipelineError `SETUP_FAILED` if the archive is damaged.
 */
export async function unzip(archive: string, pick: (memberName: string) => string | undefined): Promise<string[]> {
  const zip = await openZip(archive);
  try {
    const written: string[] = [];
    for await (const member of zip.eachEntry()) {
      const name = nameOf(member);
      const target = name.endsWith('/') ? undefined : pick(name);
      if (target === undefined) continue;
      await mkdir(dirname(target), { recursive: true });
      await writeMember(zip, member, target);
      written.push(target);
    }
    return written;
  } catch (error) {
    throw isOfTheDisk(error) ? error : damaged(archive, error);
  } finally {
    zip.close();
  }
}

/** Joins `folder` with a member's name. Returns undefined if the path would leave the folder, so that the member is skipped. */
export function insideFolder(folder: string, memberName: string): string | undefined {
  const path = normalize(memberName);
  return isAbsolute(path) || path === '..' || path.startsWith(`..${sep}`) ? undefined : `${folder}${sep}${path}`;
}

/** Names are decoded here: yauzl's own decoding refuses a whole archive for one name that leads outside. */
async function openZip(archive: string): Promise<yauzl.ZipFile> {
  try {
    return await yauzl.openPromise(archive, { lazyEntries: true, autoClose: false, decodeStrings: false });
  } catch (error) {
    if (isOfTheDisk(error)) throw error;
    throw damaged(archive, new Error('it is not a zip file', { cause: error }));
  }
}

const nameOf = ({ generalPurposeBitFlag, fileNameRaw, extraFields }: yauzl.Entry): string =>
  yauzl.getFileNameLowLevel(generalPurposeBitFlag, fileNameRaw, extraFields, false);

async function writeMember(zip: yauzl.ZipFile, member: yauzl.Entry, target: string): Promise<void> {
  let checksum = 0;
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      checksum = crc32(chunk, checksum);
      done(null, chunk);
    },
  });
  await pipeline(await zip.openReadStreamPromise(member), check, createWriteStream(target));
  if (checksum !== member.crc32) throw new Error(`${nameOf(member)} has another checksum`);
}

/** True for an error of the file system. yauzl's errors have no code, and zlib's begin with Z_. */
function isOfTheDisk(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code !== undefined && !code.startsWith('Z_');
}

function damaged(archive: string, cause: unknown): PipelineError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new PipelineError('SETUP_FAILED', `${archive} is damaged: ${why}`, { cause });
}
