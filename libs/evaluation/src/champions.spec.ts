import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EmotionTarget } from '#contracts/labels.js';
import { championKey, rejectionKey } from '#contracts/object-keys.js';
import { FolderStore } from '#storage/folder-store.js';
import type { PutOptions } from '#storage/object-store.js';
import { crown, currentChampion, listChampions, type ChampionDraft } from './champions.js';

let folder: string;
let store: FolderStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-champions-'));
  store = new FolderStore(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

const draft = (step: number, target: EmotionTarget = 'emotion'): ChampionDraft => ({
  target,
  model: { runId: 'main', step, manifestKey: `models/main/${step}/manifest.json`, sha256: 'a'.repeat(64) },
  why: 'It is better.',
  by: 'evaluator',
});

describe('champions', () => {
  it('are numbered over all targets, and the highest number of a target is its champion', async () => {
    expect(await currentChampion(store, 'emotion')).toBeNull();
    expect(await crown(store, draft(1), { after: null })).toMatchObject({ number: 1, after: null });
    expect(await crown(store, draft(1, 'valence'), { after: null })).toMatchObject({ number: 2 });
    expect(await crown(store, draft(2), { after: 1 })).toMatchObject({ number: 3, after: 1 });
    expect(await currentChampion(store, 'emotion')).toMatchObject({ number: 3, model: { step: 2 } });
    expect(await currentChampion(store, 'valence')).toMatchObject({ number: 2 });
    expect(await currentChampion(store, 'clusters-3')).toBeNull();
  });

  it('are sorted by number, not by name', async () => {
    for (let step = 1; step <= 11; step++) await crown(store, draft(step), { after: step === 1 ? null : step - 1 });
    expect((await listChampions(store)).map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(await currentChampion(store, 'emotion')).toMatchObject({ number: 11 });
  });

  it('refuse a challenger that was compared with an earlier champion, or with none', async () => {
    await crown(store, draft(1), { after: null });
    await crown(store, draft(2), { after: 1 });
    expect(await crown(store, draft(3), { after: 1 })).toBeNull();
    expect(await crown(store, draft(3), { after: null })).toBeNull();
    expect(await listChampions(store)).toHaveLength(2);
  });

  it('let exactly one of many challengers win that were compared with the same champion', async () => {
    await crown(store, draft(1), { after: null });
    const tries = await Promise.all(Array.from({ length: 8 }, (_, index) => crown(store, draft(index + 2), { after: 1 })));
    expect(tries.filter((each) => each !== null)).toHaveLength(1);
    expect(await listChampions(store)).toHaveLength(2);
  });

  it('take the next number if another target took theirs', async () => {
    const targets: EmotionTarget[] = ['emotion', 'activation', 'valence', 'clusters-3', 'clusters-5'];
    const crowned = await Promise.all(targets.map((target) => crown(store, draft(1, target), { after: null })));
    expect(crowned.map((each) => each?.number).sort()).toEqual([1, 2, 3, 4, 5]);
  });

  it('win if the answer to their write was lost and the write was repeated', async () => {
    /** Writes, but answers that the condition failed, as a store answers a repeated request. */
    class ForgetfulStore extends FolderStore {
      override async put(key: string, body: Uint8Array | string, options?: PutOptions): Promise<string | null> {
        await super.put(key, body, options);
        return null;
      }
    }
    expect(await crown(new ForgetfulStore(folder), draft(1), { after: null })).toMatchObject({ number: 1 });
    expect(await listChampions(store)).toHaveLength(1);
  });

  it('refuse an object that is not a champion', async () => {
    await store.put(rejectionKey({ target: 'emotion', runId: 'main', step: 3 }), '{}');
    await store.put('champions/notes.json', 'mine');
    expect(await listChampions(store)).toEqual([]);
    await store.put(championKey(1), JSON.stringify({ number: 1 }));
    await expect(listChampions(store)).rejects.toMatchObject({
      code: 'CHECKPOINT_INVALID',
      message: expect.stringContaining('champions/1.json'),
    });
  });
});
