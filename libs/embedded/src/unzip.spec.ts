import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { insideFolder, unzip } from './unzip.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'undertone-unzip-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Makes a zip of these members; every second member is stored. `wide` adds zip64 fields. */
function zip(members: Record<string, Buffer>, { wide = false, breakChecksum = false } = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [at, [name, content]] of Object.entries(members).entries()) {
    const packed = at % 2 === 0 ? deflateRawSync(content) : content;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    const extra = Buffer.alloc(wide ? 28 : 0);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(at % 2 === 0 ? 8 : 0, 10);
    entry.writeUInt32LE((crc32(content) + (breakChecksum ? 1 : 0)) >>> 0, 16);
    entry.writeUInt32LE(wide ? 0xffffffff : packed.length, 20);
    entry.writeUInt32LE(wide ? 0xffffffff : content.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt16LE(extra.length, 30);
    entry.writeUInt32LE(wide ? 0xffffffff : offset, 42);
    if (wide) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      extra.writeBigUInt64LE(BigInt(content.length), 4);
      extra.writeBigUInt64LE(BigInt(packed.length), 12);
      extra.writeBigUInt64LE(BigInt(offset), 20);
    }
    parts.push(local, Buffer.from(name), packed);
    directory.push(entry, Buffer.from(name), extra);
    offset += local.length + name.length + packed.length;
  }
  const central = Buffer.concat(directory);
  const count = Object.keys(members).length;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(wide ? 0xffff : count, 10);
  end.writeUInt32LE(wide ? 0xffffffff : central.length, 12);
  end.writeUInt32LE(wide ? 0xffffffff : offset, 16);
  if (!wide) return Buffer.concat([...parts, central, end]);
  const wideEnd = Buffer.alloc(56);
  wideEnd.writeUInt32LE(0x06064b50, 0);
  wideEnd.writeUInt32LE(0x06064b50, 0);
  wideEnd.writeBigUInt64LE(BigInt(count), 24);
  wideEnd.writeBigUInt64LE(BigInt(count), 32);
  wideEnd.writeBigUInt64LE(BigInt(central.length), 40);
  wideEnd.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(offset + central.length), 8);
  return Buffer.concat([...parts, central, wideEnd, locator, end]);
}

const members = {
  'pkg/a.txt': Buffer.from('hello '.repeat(1000)),
  'pkg/empty': Buffer.alloc(0),
  'skip/b': Buffer.from('b'),
  'pkg/c.bin': Buffer.alloc(70_000, 7),
};

test.each([{ wide: false }, { wide: true }])('extracts chosen members, deflated or stored (zip64: $wide)', async ({ wide }) => {
  const archive = join(folder, 'x.whl');
  await writeFile(archive, zip(members, { wide }));
  const written = await unzip(archive, (name) => (name.startsWith('pkg/') ? insideFolder(folder, name) : undefined));
  expect(written).toHaveLength(3);
  expect(await readFile(join(folder, 'pkg/a.txt'))).toEqual(members['pkg/a.txt']);
  expect(await readFile(join(folder, 'pkg/empty'))).toEqual(members['pkg/empty']);
  expect(await readFile(join(folder, 'pkg/c.bin'))).toEqual(members['pkg/c.bin']);
});

test('refuses a member with a wrong checksum', async () => {
  const archive = join(folder, 'x.whl');
  await writeFile(archive, zip(members, { breakChecksum: true }));
  await expect(unzip(archive, (name) => insideFolder(folder, name))).rejects.toMatchObject({ code: 'SETUP_FAILED' });
});

test('skips a member outside the folder, and extracts the others', async () => {
  const archive = join(folder, 'x.whl');
  await writeFile(archive, zip({ '../outside': Buffer.from('x'), inside: Buffer.from('y') }));
  expect(await unzip(archive, (name) => insideFolder(folder, name))).toEqual([join(folder, 'inside')]);
});

test('refuses a file that is not a zip, and names it', async () => {
  const archive = join(folder, 'page.html');
  await writeFile(archive, '<html>proxy error</html>');
  await expect(unzip(archive, () => undefined)).rejects.toThrow(/page\.html is damaged: it is not a zip file/);
});

test('never writes a member outside the folder', () => {
  expect(insideFolder('/to', '../etc/passwd')).toBeUndefined();
  expect(insideFolder('/to', '/etc/passwd')).toBeUndefined();
  expect(insideFolder('/to', 'a/../b')).toBe('/to/b');
});
