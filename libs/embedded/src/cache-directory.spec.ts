import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cacheRoot, provisionFolder, readStamp, withLock } from './cache-directory.js';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'undertone-cache-'));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function makeTwoFiles(folder: string): Promise<string> {
  await mkdir(join(folder, 'lib'));
  await writeFile(join(folder, 'lib', 'a.jar'), 'aaa');
  await writeFile(join(folder, 'b.txt'), 'b');
  return 'two files';
}

test('uses UNDERTONE_CACHE, else XDG_CACHE_HOME, else ~/.cache', () => {
  expect(cacheRoot({ UNDERTONE_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
  expect(cacheRoot({ XDG_CACHE_HOME: '/b' })).toBe('/b/undertone');
  expect(cacheRoot({})).toMatch(/\.cache\/undertone$/);
});

test('makes a part once and then finds it', async () => {
  const first = await provisionFolder(root, 'part-1', makeTwoFiles);
  const second = await provisionFolder(root, 'part-1', () => Promise.reject(new Error('made twice')));
  expect([first.fresh, second.fresh]).toEqual([true, false]);
  expect(second.stamp).toMatchObject({ verified: 'two files', sizeBytes: 4 });
  expect(await readdir(root)).toEqual(['part-1']);
});

test('makes a folder again if one of its files was deleted or truncated', async () => {
  const { path } = await provisionFolder(root, 'part-1', makeTwoFiles);
  await rm(join(path, 'lib', 'a.jar'));
  expect((await provisionFolder(root, 'part-1', makeTwoFiles)).fresh).toBe(true);
  await truncate(join(path, 'b.txt'), 0);
  expect((await provisionFolder(root, 'part-1', makeTwoFiles)).fresh).toBe(true);
});

test('leaves neither folder nor lock after a failure', async () => {
  const failing = provisionFolder(root, 'part-1', async (folder) => {
    await makeTwoFiles(folder);
    throw new Error('no network');
  });
  await expect(failing).rejects.toThrow('no network');
  expect(await readdir(root)).toEqual([]);
});

test('makes a part once when two processes start together', async () => {
  let made = 0;
  const make = async (folder: string): Promise<string> => {
    made += 1;
    await sleep(300);
    return makeTwoFiles(folder);
  };
  const both = await Promise.all([provisionFolder(root, 'part-1', make), provisionFolder(root, 'part-1', make)]);
  expect(made).toBe(1);
  expect(both.map(({ fresh }) => fresh).toSorted()).toEqual([false, true]);
});

test('removes the partial folder of a killed start', async () => {
  await mkdir(join(root, 'part-1'));
  await mkdir(join(root, '.making-part-1-99999999'));
  expect(await readStamp(join(root, 'part-1'))).toBeUndefined();
  expect((await provisionFolder(root, 'part-1', makeTwoFiles)).fresh).toBe(true);
  expect(await readdir(root)).toEqual(['part-1']);
});

test('takes over the lock of a dead process', async () => {
  const file = join(root, 'part.lock');
  await writeFile(file, JSON.stringify({ pid: 2 ** 22 + 1, host: hostname() }));
  expect(await withLock(file, () => Promise.resolve('held'))).toBe('held');
});

test('names UNDERTONE_CACHE if the cache is not writable', async () => {
  const file = join(root, 'not-a-folder');
  await writeFile(file, '');
  await expect(provisionFolder(join(file, 'cache'), 'part-1', makeTwoFiles)).rejects.toThrow(/UNDERTONE_CACHE/);
});
