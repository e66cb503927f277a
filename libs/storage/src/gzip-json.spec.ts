import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FolderStore } from './folder-store.js';
import { findGzipJson, putGzipJson } from './gzip-json.js';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'gzip-json-'))));
afterEach(() => rm(folder, { recursive: true }));

test('reads the text that was put, and finds none where nothing was', async () => {
  const store = new FolderStore(folder);
  const json = JSON.stringify({ speaker: 'Žofie', tiles: Array.from({ length: 500 }, (_, tile) => tile) });
  await putGzipJson(store, 'views/one.json.gz', json);
  expect(await findGzipJson(store, 'views/one.json.gz')).toBe(json);
  expect(await findGzipJson(store, 'views/two.json.gz')).toBeNull();
  expect((await store.find('views/one.json.gz'))?.bytes.length).toBeLessThan(json.length);
});
