import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FolderStore } from './folder-store.js';

let folder: string;
let store: FolderStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-folder-'));
  store = new FolderStore(join(folder, 'made/when/needed'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const keys = async (prefix: string) => {
  const found: string[] = [];
  for await (const { key } of store.list(prefix)) found.push(key);
  return found;
};

describe('objects in a folder', () => {
  it('are returned as they were put, and listed in order', async () => {
    expect(await keys('')).toEqual([]);
    const etag = await store.put('b/ü c', 'two');
    await store.put('a', Uint8Array.of(1, 2, 3));
    expect(await store.find('b/ü c')).toMatchObject({ etag });
    expect(Buffer.from((await store.get('a')).bytes)).toEqual(Buffer.of(1, 2, 3));
    expect(await store.head('a')).toMatchObject({ key: 'a', sizeBytes: 3 });
    expect(await keys('')).toEqual(['a', 'b/ü c']);
    expect(await keys('b/')).toEqual(['b/ü c']);
    await store.delete('a');
    expect(await store.find('a')).toBeNull();
    await expect(store.get('a')).rejects.toMatchObject({ code: 'OBJECT_GONE' });
  });

  it('are written by exactly one of twenty concurrent "absent" puts', async () => {
    const written = await Promise.all(Array.from({ length: 20 }, (_, i) => store.put('one', `by ${i}`, { onlyIf: 'absent' })));
    expect(written.filter((etag) => etag !== null)).toHaveLength(1);
    expect(await keys('')).toEqual(['one']);
  });

  it('are replaced only if the ETag of the condition matches', async () => {
    const etag = (await store.put('a', 'first')) as string;
    expect(await store.put('a', 'second', { onlyIf: { etag } })).not.toBeNull();
    expect(await store.put('a', 'third', { onlyIf: { etag } })).toBeNull();
    expect(await store.put('none', 'x', { onlyIf: { etag } })).toBeNull();
    expect(new TextDecoder().decode((await store.get('a')).bytes)).toBe('second');
  });

  it('are not listed while half-written', async () => {
    await store.put('a', 'whole');
    writeFileSync(join(folder, 'made/when/needed/b.part'), 'half');
    expect(await keys('')).toEqual(['a']);
  });
});
