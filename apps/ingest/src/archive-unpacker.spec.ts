/** Archives are unpacked beside the consumers, continue after a restart, and fail one by one. */
import { mkdtempSync, readdirSync, mkdirSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { archiveJobsPrefix, corpusKey } from '#contracts/object-keys.js';
import type { PipelineError } from '#contracts/pipeline-error.js';
import { createLogger } from '#service/logger.js';
import { makeArchiveFolder, sweepArchiveFolders } from './archive-folder.js';
import { ArchiveUnpacker } from './archive-unpacker.js';
import { MemoryStore } from './memory-store.fixture.js';
import type { ArchiveLimits } from './read-archive.js';

const limits: ArchiveLimits = { entries: 10_000, totalBytes: 1e9, entryBytes: 1e6, ratio: 1_000 };
const origin = { topic: 'hints', partition: 1, offset: '42', key: Buffer.from('k'), value: Buffer.from('{"hint":1}') };
const timing = { lookMs: 50, beatMs: 30, staleMs: 1_500, diskWaitMs: 20 };

let store: MemoryStore;
let hinted: string[];
let letters: { code: string; message: string; objectKey: string | undefined; offset: string; value: string | undefined }[];
const open: ArchiveUnpacker[] = [];

beforeEach(() => {
  store = new MemoryStore();
  [hinted, letters] = [[], []];
});
afterEach(async () => {
  for (const unpacker of open.splice(0)) await unpacker.stop();
});

function unpackerOf(changed: Partial<ArchiveLimits> = {}, instanceId?: string): ArchiveUnpacker {
  const unpacker = new ArchiveUnpacker({
    store,
    ...(instanceId && { instanceId }),
    limits: { ...limits, ...changed },
    logger: createLogger('ingest', 'silent'),
    hintAt: (keys) => {
      hinted.push(...keys);
      return Promise.resolve();
    },
    deadLetterOffice: {
      writeLetter: (record, { objectKey }, { code, message }: PipelineError) => {
        letters.push({ code, message, objectKey, offset: record.offset, value: record.value?.toString() });
        return Promise.resolve();
      },
    },
    timing,
  });
  open.push(unpacker);
  return unpacker;
}

async function tarGz(files: Record<string, string>): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of Object.entries(files)) tar.entry({ name, mtime: new Date(0) }, content);
  tar.finalize();
  return gzipSync(await buffer(tar));
}
const wavs = (count: number): Record<string, string> =>
  Object.fromEntries([...Array(count)].map((_, i) => [`${String(i).padStart(5, '0')}.wav`, `sound ${i}`]));

async function drop(unpacker: ArchiveUnpacker, files: Record<string, string> | Buffer, corpus = 'a', again = false): Promise<boolean> {
  const key = corpusKey(corpus, 'all.tar.gz');
  await store.put(key, Buffer.isBuffer(files) ? files : await tarGz(files));
  const head = await store.head(key);
  return head !== null && unpacker.accept({ head, corpus, origin, again });
}
const unpackedOf = (corpus: string): string[] => store.keys(corpusKey(corpus, '')).filter((key) => !key.endsWith('.tar.gz'));
const settled = (): Promise<void> => vi.waitFor(() => expect(store.keys(archiveJobsPrefix)).toEqual([]), { timeout: 15_000 });

describe('an archive', () => {
  it('puts its annotations, then its recordings, hints at each, and takes no other files', async () => {
    const unpacker = unpackerOf();
    await unpacker.start();
    expect(await drop(unpacker, { 'a/1.wav': 'sound', 'README.txt': 'no', 'manifest.csv': 'path\n' })).toBe(true);
    await settled();
    expect(hinted).toEqual([corpusKey('a', 'manifest.csv'), corpusKey('a', 'a/1.wav')]);
    expect(unpackedOf('a')).toEqual([corpusKey('a', 'a/1.wav'), corpusKey('a', 'manifest.csv')]);
    expect(unpacker.openCount).toBe(0);
  });

  it('puts the manifest of its only folder at the top of the corpus, unless another manifest lies there', async () => {
    const unpacker = unpackerOf();
    await unpacker.start();
    await drop(unpacker, { 'calls/a.wav': 'sound', 'calls/manifest.csv': 'path\na.wav\n' });
    await settled();
    expect(unpackedOf('a')).toEqual([corpusKey('a', 'calls/a.wav'), corpusKey('a', 'manifest.csv')]);
    expect(letters).toEqual([]);
    await drop(unpacker, { 'more/b.wav': 'sound', 'more/manifest.csv': 'path\nb.wav\n' });
    await settled();
    expect(unpackedOf('a')).toContain(corpusKey('a', 'more/b.wav'));
    expect(new TextDecoder().decode((await store.get(corpusKey('a', 'manifest.csv'))).bytes)).toBe('path\na.wav\n');
    expect(letters).toMatchObject([
      { code: 'MANIFEST_INVALID', message: expect.stringContaining('more/manifest.csv of the archive was not put') },
    ]);
  });

  it('puts its recordings and writes a dead letter that names its manifests if they lie in several folders', async () => {
    const unpacker = unpackerOf();
    await unpacker.start();
    await drop(unpacker, { 'x/a.wav': 'sound', 'x/manifest.csv': 'path\n', 'y/manifest.csv': 'path\n' });
    await settled();
    expect(unpackedOf('a')).toEqual([corpusKey('a', 'x/a.wav')]);
    expect(letters).toMatchObject([{ code: 'MANIFEST_INVALID', message: expect.stringContaining('x/manifest.csv and 1 more') }]);
  });

  it('is unpacked once for each ETag, also across processes', async () => {
    const first = unpackerOf();
    await first.start();
    await drop(first, wavs(2));
    await settled();
    const next = unpackerOf();
    await next.start();
    expect(await drop(next, wavs(2))).toBe(false);
    expect(await drop(next, wavs(3))).toBe(true);
    await settled();
    expect(unpackedOf('a')).toHaveLength(3);
  });

  it('is unpacked by a later process once it was accepted', async () => {
    await drop(unpackerOf(), wavs(3));
    expect(unpackedOf('a')).toEqual([]);
    await unpackerOf().start();
    await settled();
    expect(unpackedOf('a')).toHaveLength(3);
  });

  it('with a thousand files on a slow store finishes beside others, and continues where it was killed', async () => {
    store = new MemoryStore(20);
    const first = unpackerOf();
    await first.start();
    await drop(first, wavs(1_000), 'large');
    await vi.waitFor(() => expect(hinted.length).toBeGreaterThan(300), { timeout: 10_000 });
    await drop(first, wavs(3), 'small');
    await vi.waitFor(() => expect(unpackedOf('small')).toHaveLength(3), { timeout: 5_000 });
    expect(unpackedOf('large').length, 'the small one did not wait for it').toBeLessThan(1_000);

    // Like kill -9: nothing that this process does from here on arrives.
    store.answer = () => {
      throw new Error('killed');
    };
    await first.stop();
    store.answer = () => undefined;
    const hintedBefore = new Set(hinted).size;
    hinted = [];
    await unpackerOf().start();
    await settled();
    expect(unpackedOf('large')).toHaveLength(1_000);
    // Entries put after the last stored cursor are put twice, all others once.
    expect(hinted.length).toBeLessThan(1_000);
    expect(hinted.length + hintedBefore).toBeGreaterThanOrEqual(1_000);
    expect(letters).toEqual([]);
  });

  it('loses nothing and repeats nothing when it is stopped gracefully', async () => {
    store = new MemoryStore(2);
    const first = unpackerOf();
    await first.start();
    await drop(first, wavs(500));
    await vi.waitFor(() => expect(hinted.length).toBeGreaterThan(50), { timeout: 10_000 });
    await first.stop();
    await unpackerOf().start();
    await settled();
    expect(hinted).toHaveLength(500);
    expect(new Set(hinted).size).toBe(500);
  });

  it('is left alone while another instance works on it', async () => {
    store = new MemoryStore(20);
    const busy = unpackerOf({}, 'another-host/1/a');
    await busy.start();
    await drop(busy, wavs(400));
    await vi.waitFor(() => expect(hinted.length).toBeGreaterThan(10), { timeout: 10_000 });
    await unpackerOf().start();
    await settled();
    // If both had worked on it, many entries would have two hints.
    expect(hinted).toHaveLength(400);
  });

  it('is taken over if its instance stopped writing', async () => {
    store = new MemoryStore(2);
    const dead = unpackerOf({}, 'another-host/1/a');
    await dead.start();
    await drop(dead, wavs(400));
    await vi.waitFor(() => expect(hinted.length).toBeGreaterThan(10), { timeout: 10_000 });
    store.answer = () => {
      throw new Error('killed');
    };
    await dead.stop();
    store.answer = () => undefined;
    await unpackerOf().start();
    await settled();
    expect(unpackedOf('a')).toHaveLength(400);
  });

  it('is unpacked in its new state if it was replaced meanwhile', async () => {
    store = new MemoryStore(5);
    const unpacker = unpackerOf();
    await unpacker.start();
    await drop(unpacker, wavs(300));
    await vi.waitFor(() => expect(hinted.length).toBeGreaterThan(10), { timeout: 10_000 });
    expect(await drop(unpacker, { 'new.wav': 'new' })).toBe(true);
    await settled();
    await vi.waitFor(() => expect(hinted).toContain(corpusKey('a', 'new.wav')), { timeout: 20_000 });
    expect(letters).toEqual([]);
  });

  it('loses its job when it was deleted', async () => {
    const unpacker = unpackerOf();
    await drop(unpacker, wavs(1));
    await store.delete(corpusKey('a', 'all.tar.gz'));
    await unpacker.start();
    await settled();
    expect([hinted, letters]).toEqual([[], []]);
  });
});

describe('an archive that cannot be unpacked', () => {
  it('gets one dead letter about its hint, and is tried again only on request', async () => {
    const unpacker = unpackerOf();
    await unpacker.start();
    await drop(unpacker, Buffer.from('PK, but no archive'));
    await settled();
    expect(letters).toEqual([
      {
        code: 'ARCHIVE_INVALID',
        message: expect.any(String) as string,
        objectKey: corpusKey('a', 'all.tar.gz'),
        offset: '42',
        value: '{"hint":1}',
      },
    ]);
    expect(await drop(unpacker, Buffer.from('PK, but no archive'))).toBe(false);
    expect(await drop(unpacker, Buffer.from('PK, but no archive'), 'a', true)).toBe(true);
    await settled();
    expect(letters).toHaveLength(2);
  });

  it('is refused at once if it is too large', async () => {
    const unpacker = unpackerOf({ totalBytes: 10 });
    await expect(drop(unpacker, wavs(1))).rejects.toMatchObject({ code: 'ARCHIVE_LIMIT_EXCEEDED' });
    expect(store.keys(archiveJobsPrefix)).toEqual([]);
  });

  it('puts all other entries if the store refuses one', async () => {
    const { PipelineError: Refusal } = await import('#contracts/pipeline-error.js');
    store.answer = (name, key) => {
      if (name === 'put' && key.endsWith('00001.wav')) throw new Refusal('OBJECT_REFUSED', 'AccessDenied');
    };
    const unpacker = unpackerOf();
    await unpacker.start();
    await drop(unpacker, { ...wavs(40), [`${'x'.repeat(890)}.wav`]: 'a name that fits the archive' }, `long-${'c'.repeat(140)}`);
    await settled();
    expect(hinted).toHaveLength(39);
    expect(letters.map(({ code, message }) => [code, message.slice(0, 11)])).toEqual([['OBJECT_REFUSED', '2 of 41 ent']]);
  });

  it('is given up after five starts without progress for an unknown error, also across processes', async () => {
    let failures = 0;
    store.answer = (name, key) => {
      if (name === 'put' && key.endsWith('.wav')) {
        failures++;
        throw new TypeError('who would have thought');
      }
    };
    const unpacker = unpackerOf();
    await unpacker.start();
    await drop(unpacker, wavs(1));
    await vi.waitFor(() => expect(failures).toBeGreaterThanOrEqual(2), { timeout: 5_000 });
    await unpacker.stop();
    await unpackerOf().start();
    await settled();
    expect(failures).toBeLessThanOrEqual(6);
    expect(letters).toMatchObject([{ code: 'UNKNOWN_REPEATED', message: expect.stringContaining('who would have thought') as string }]);
  });

  it('waits while the disk is full', async () => {
    let isFull = true;
    store.answer = (name, key) => {
      if (isFull && name === 'get' && key.endsWith('.tar.gz'))
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    };
    const unpacker = unpackerOf();
    await unpacker.start();
    await drop(unpacker, wavs(2));
    await vi.waitFor(() => expect(store.callsOf('get').filter((key) => key.endsWith('.tar.gz')).length).toBeGreaterThan(2), {
      timeout: 20_000,
    });
    expect([hinted, letters]).toEqual([[], []]);
    isFull = false;
    await settled();
    expect(unpackedOf('a')).toHaveLength(2);
  });
});

describe('temporary folders', () => {
  const parent = mkdtempSync(join(tmpdir(), 'undertone-sweep-spec-'));
  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  it('of dead processes are removed, and those of others stay', async () => {
    mkdirSync(parent, { recursive: true });
    const host = hostname().replaceAll(/[^A-Za-z0-9.]/g, '.');
    const foreign = ['undertone-archive-another.host-1-abc', `undertone-archive-${host}-${process.ppid}-abc`, 'somebody-elses'];
    for (const name of [...foreign, `undertone-archive-${host}-999999999-abc`]) mkdirSync(join(parent, name));
    await makeArchiveFolder(parent);
    expect(await sweepArchiveFolders(parent)).toBe(2);
    expect(readdirSync(parent).sort()).toEqual(foreign.sort());
  });
});
