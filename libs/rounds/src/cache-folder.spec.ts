import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CacheFolder } from './cache-folder.js';

let base: string;
beforeEach(() => (base = mkdtempSync(join(tmpdir(), 'undertone-cache-'))));
afterEach(() => rmSync(base, { recursive: true }));

const shard = (letter: string): string => `${letter.repeat(64)}.arrow`;
const put = (folder: string, letter: string): void => writeFileSync(join(folder, shard(letter)), letter);
const folders = (): string[] => readdirSync(base).sort();

it('gives each claim its own folder, and leaves the files of others alone', () => {
  const [one, other] = [CacheFolder.claim(base), CacheFolder.claim(base)];
  put(one.path, 'a');
  put(other.path, 'b');
  one.keepOnly(new Set());
  one.sweep();
  expect(readdirSync(one.path)).toEqual([]);
  expect(readdirSync(other.path)).toEqual([shard('b')]);
});

it('adopts released files, and those of a release without sub-folders', () => {
  const one = CacheFolder.claim(base);
  put(one.path, 'a');
  one.release();
  put(base, 'b');
  const next = CacheFolder.claim(base);
  expect(readdirSync(next.path).sort()).toEqual([shard('a'), shard('b')]);
  expect(folders()).toEqual([basename(next.path)]);
});

it('adopts the files of one killed owner, deletes those of a second one, and touches no others', async () => {
  // This process's id with another start: a dead process whose id was given out again.
  const name = basename(CacheFolder.claim(base).path).replace(/-\d+-\d+$/, '-1-0');
  rmSync(base, { recursive: true });
  mkdirSync(join(base, name), { recursive: true });
  mkdirSync(join(base, name.replace(/-0$/, '-1')));
  put(join(base, name), 'a');
  writeFileSync(join(base, 'notes.txt'), 'of a person');
  const heir = CacheFolder.claim(base);
  expect(readdirSync(heir.path)).toEqual([shard('a')]);
  expect(folders()).toEqual([basename(heir.path), 'notes.txt'].sort());
});

it('keeps the folder of another host until that host has not touched it for ten minutes', () => {
  const elsewhere = basename(CacheFolder.claim(base).path).replace(/^cache-[0-9a-f]{12}/, 'cache-0123456789ab');
  mkdirSync(join(base, elsewhere));
  put(join(base, elsewhere), 'a');
  CacheFolder.claim(base).sweep();
  expect(existsSync(join(base, elsewhere, shard('a')))).toBe(true);
  const longAgo = new Date(Date.now() - 3_600_000);
  utimesSync(join(base, elsewhere), longAgo, longAgo);
  CacheFolder.claim(base);
  expect(folders()).not.toContain(elsewhere);
});
