import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { pack as packTar } from 'tar-stream';
import { afterAll, describe, expect, it } from 'vitest';
import { type ArchiveLimits, type EntryChoice, readArchive } from './read-archive.js';

const folder = mkdtempSync(join(tmpdir(), 'undertone-archive-spec-'));
afterAll(() => rmSync(folder, { recursive: true }));

const limits: ArchiveLimits = { entries: 100, totalBytes: 1e9, entryBytes: 1e6, ratio: 100 };
const all = () => true;
let files = 0;

interface Made {
  name: string;
  content?: string | Buffer;
  /** The target of a link. */
  linkTo?: string;
  isHardLink?: boolean;
}

async function tar(entries: Made[]): Promise<Buffer> {
  const packed = packTar();
  for (const { name, content = '', linkTo, isHardLink } of entries) {
    if (linkTo) packed.entry({ name, type: isHardLink ? 'link' : 'symlink', linkname: linkTo });
    else packed.entry({ name }, content);
  }
  packed.finalize();
  return buffer(packed);
}

/** Writes a zip as archivers do: local headers, the directory, its end. */
function zip(entries: Made[]): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content = '', linkTo } of entries) {
    const raw = Buffer.from(linkTo ?? content);
    const packed = deflateRawSync(raw);
    const sizes = Buffer.alloc(12);
    sizes.writeUInt32LE(crc32(raw), 0);
    sizes.writeUInt32LE(packed.length, 4);
    sizes.writeUInt32LE(raw.length, 8);
    const path = Buffer.from(name);
    const lengths = Buffer.from([path.length & 255, path.length >> 8, 0, 0]);
    const common = Buffer.concat([Buffer.from([20, 0, 0, 8, 8, 0, 0, 0, 0, 0]), sizes, lengths]); // UTF-8, deflated
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, path, packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(linkTo ? 0o120777 * 65_536 : 0, 6);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), common, tail, path]));
    locals.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, central, end]);
}

async function read(archive: Buffer, { wants = all, skip, ...changed }: Partial<ArchiveLimits> & Partial<EntryChoice> = {}) {
  const file = join(folder, String(files++));
  writeFileSync(file, archive);
  const entries: [string, string][] = [];
  for await (const { path, bytes } of readArchive(file, { ...limits, ...changed }, { wants, ...(skip && { skip }) }))
    entries.push([path, Buffer.from(bytes).toString()]);
  return entries;
}

const made: Made[] = [
  { name: './manifest.csv', content: 'path\n' },
  { name: 'größe/a b+c%.wav', content: 'sound' },
  { name: 'notes.txt', content: 'no sound' },
];
const expected = [
  ['manifest.csv', 'path\n'],
  ['größe/a b+c%.wav', 'sound'],
  ['notes.txt', 'no sound'],
];
const forms: [string, (entries: Made[]) => Promise<Buffer>][] = [
  ['tar', tar],
  ['tar.gz', async (entries) => gzipSync(await tar(entries))],
  ['zip', (entries) => Promise.resolve(zip(entries))],
];

describe.each(forms)('%s', (form, make) => {
  it('returns its files, whatever their names', async () => {
    expect(await read(await make(made))).toEqual(expected);
  });

  it('skips unwanted files and links', async () => {
    const entries = [...made, { name: 'link.wav', linkTo: '/etc/passwd' }];
    expect(await read(await make(entries), { wants: (path) => path.endsWith('.wav') })).toEqual([expected[1]]);
  });

  it.each(['../outside.wav', 'a/../../b.wav', '/etc/cron.d/x.wav', 'a/\u0007.wav', `${'x'.repeat(1_000)}.wav`])(
    'is refused for an entry %j',
    async (name) => {
      await expect(read(await make([{ name, content: 'x' }]))).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
    },
  );

  it('takes harmless names with dots, and normalises others', async () => {
    const names = ['a..b.wav', '..hidden/x.wav', 'a: first call.wav', './b//./c.wav'];
    const entries = await read(await make(names.map((name) => ({ name, content: 'x' }))));
    expect(entries.map(([path]) => path)).toEqual(['a..b.wav', '..hidden/x.wav', 'a: first call.wav', 'b/c.wav']);
  });

  it('continues after the entries of an earlier attempt, in both passes', async () => {
    const archive = await make(made);
    const skip = { left: 2 };
    const wavs = (path: string) => path.endsWith('.wav');
    expect(await read(archive, { skip })).toEqual(expected.slice(2));
    expect(skip).toEqual({ left: 0 });
    expect(await read(archive, { skip: { left: 1 }, wants: wavs })).toEqual([]);
  });

  it('skips an odd name of an unwanted file', async () => {
    const entries = [...made, { name: 'notes\u0007.txt' }, { name: `${'é'.repeat(600)}.txt` }];
    expect(await read(await make(entries), { wants: (path) => path.endsWith('.wav') })).toEqual([expected[1]]);
  });

  it('is refused for too many entries, too large entries, or too much in all', async () => {
    const archive = await make([...Array(20)].map((_, i) => ({ name: `${i}.wav`, content: Buffer.alloc(10_000, i) })));
    await expect(read(archive, { entries: 19 })).rejects.toMatchObject({ code: 'ARCHIVE_LIMIT_EXCEEDED' });
    await expect(read(archive, { entryBytes: 9_999 })).rejects.toMatchObject({ code: 'ARCHIVE_LIMIT_EXCEEDED' });
    await expect(read(archive, { totalBytes: 150_000 })).rejects.toMatchObject({ code: 'ARCHIVE_LIMIT_EXCEEDED' });
    expect(await read(archive)).toHaveLength(20);
  });

  it('is refused or returns fewer files when it is cut anywhere, and never hangs', async () => {
    const archive = await make(made);
    for (const share of [0.1, 0.3, 0.5, 0.7, 0.9]) {
      const outcome = await read(archive.subarray(0, Math.floor(share * archive.length))).catch((error: { code: string }) => error.code);
      if (typeof outcome === 'string') expect(outcome).toBe('ARCHIVE_INVALID');
      else expect(outcome.length).toBeLessThanOrEqual(made.length);
    }
  });

  if (form !== 'tar') {
    it('is refused if it grows more than a hundredfold', async () => {
      const bomb = await make([...Array(4)].map((_, i) => ({ name: `${i}.wav`, content: Buffer.alloc(50e6) })));
      await expect(read(bomb, { entryBytes: 1e9 })).rejects.toMatchObject({ code: 'ARCHIVE_LIMIT_EXCEEDED' });
    });
  }
});

it('refuses a file that is not an archive', async () => {
  await expect(read(Buffer.from('this is a text of some length'.repeat(100)))).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  await expect(read(Buffer.alloc(0))).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
});

describe('hard links in a tar', () => {
  const file = { name: 'b/two.wav', content: 'sound' };

  it('are read as their targets', async () => {
    const link = { name: 'a/one.wav', linkTo: 'b/two.wav', isHardLink: true };
    const archive = await tar([file, link, { ...link, name: 'c.wav' }]);
    expect(await read(archive, { wants: (path) => path !== 'c.wav' })).toEqual([
      ['b/two.wav', 'sound'],
      ['a/one.wav', 'sound'],
    ]);
    expect(await read(archive, { skip: { left: 2 } })).toEqual([['c.wav', 'sound']]);
  });

  it('refuse the archive if their target is missing, and name it', async () => {
    const link = { name: 'a/one.wav', linkTo: 'gone.wav', isHardLink: true };
    await expect(read(await tar([file, link]))).rejects.toThrow(/a\/one.wav.*hard link to.*gone.wav/);
  });
});

describe('zips as people make them', () => {
  const pathsOf = async (name: string): Promise<string[]> => {
    const archive = readFileSync(new URL(`../fixtures/archives/${name}.zip`, import.meta.url));
    return (await read(archive, { wants: (path) => path.endsWith('.wav') && !path.includes('._') })).map(([path]) => path);
  };

  it.each([
    ['windows', ['audio/a.wav', 'audio/b.wav']],
    ['cp437', ['Zürich.wav']],
    ['mac', ['calls/a.wav']],
  ])('%s', async (name, paths) => expect(await pathsOf(name)).toEqual(paths));
});
