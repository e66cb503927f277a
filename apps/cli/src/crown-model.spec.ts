import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EmotionTarget } from '#contracts/labels.js';
import { FolderStore } from '#storage/folder-store.js';
import { crown, currentChampion } from '#evaluation/champions.js';
import { findCheckpoint, manifestKey } from '#rounds/checkpoint-store.js';
import { MadeModels } from '#rounds/made-models.fixture.js';
import { planRollback } from './crown-model.js';
import { findModel } from './find-model.js';
import { chooseModel } from './open-model.js';

let folder: string;
let store: FolderStore;
let models: MadeModels;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-crown-'));
  store = new FolderStore(folder);
  models = new MadeModels(store);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Makes the model of that step the champion, as the commands do. */
async function promote(step: number, { restores, target = 'emotion' }: { restores?: number; target?: EmotionTarget } = {}): Promise<void> {
  await models.write({ step, right: 5, target });
  const sha256 = (await findCheckpoint(store, 'made', step))?.weights.sha256 ?? '';
  const model = { runId: 'made', step, manifestKey: manifestKey('made', step), sha256 };
  const after = (await currentChampion(store, target))?.number ?? null;
  await crown(store, { target, model, why: 'Said so.', by: 'person', ...(restores ? { restores } : {}) }, { after });
}

/** Rolls back. @returns the new champion's step, and its number before */
async function rollback(target: EmotionTarget | null = null): Promise<[step: number, number: number]> {
  const { restored } = await planRollback(store, target);
  await promote(restored.model.step, { restores: restored.number, target: restored.target });
  return [restored.model.step, restored.number];
}

const misuse = (message: string | RegExp) => expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) });

describe('a rollback', () => {
  it('goes back one champion each time, to the first and no further', async () => {
    for (const step of [100, 200, 300]) await promote(step);
    expect(await rollback()).toEqual([200, 2]);
    expect(await rollback()).toEqual([100, 1]);
    await expect(rollback()).rejects.toThrow(misuse('Champion 5 of emotion had none before it'));
  });

  it('returns to the restored champion when a model promoted after a rollback is rolled back', async () => {
    for (const step of [100, 200]) await promote(step);
    expect(await rollback()).toEqual([100, 1]);
    await promote(400);
    expect(await rollback()).toEqual([100, 1]);
  });

  it('asks for the target if several have champions, and changes no other target', async () => {
    await expect(rollback()).rejects.toThrow(misuse('No model has been promoted yet'));
    for (const step of [100, 200]) await promote(step);
    await expect(rollback('valence')).rejects.toThrow(misuse('No model of valence has been promoted'));
    await promote(110, { target: 'valence' });
    await promote(210, { target: 'valence' });
    await expect(rollback()).rejects.toThrow(misuse('champions \\(emotion, valence\\). Name one with --target'));
    expect(await rollback('valence')).toEqual([110, 3]);
    expect(await rollback('emotion')).toEqual([100, 1]);
  });

  it('refuses to restore a model that no longer exists', async () => {
    for (const step of [100, 200]) await promote(step);
    await store.delete(manifestKey('made', 100));
    await expect(rollback()).rejects.toThrow(misuse('Champion 1 was made/100, which no longer exists'));
  });
});

describe('a model’s name', () => {
  it('is RUN/STEP, and its round has to be finished', async () => {
    await models.write({ step: 100, right: 5 });
    await models.write({ step: 150, right: 5, complete: false });
    expect(await findModel(store, 'made/100')).toMatchObject({ step: 100 });
    expect(await findModel(store, 'made/000000100')).toMatchObject({ step: 100 });
    await expect(findModel(store, 'made')).rejects.toThrow(misuse('RUN/STEP'));
    await expect(findModel(store, 'made/7')).rejects.toThrow(misuse('There is no model made/7'));
    await expect(findModel(store, 'made/150')).rejects.toThrow(misuse('in the middle of a round'));
  });
});

describe('the model that a command uses', () => {
  it('is the champion, else the newest, unless the caller names another', async () => {
    expect(await chooseModel(store, {})).toBeNull();
    for (const step of [100, 200]) await models.write({ step, right: 5 });
    expect(await chooseModel(store, {})).toMatchObject({
      checkpoint: { step: 200 },
      chosen: 'the newest; no model is champion of emotion yet',
    });
    await promote(100);
    await models.write({ step: 300, right: 5 });
    expect(await chooseModel(store, {})).toMatchObject({ checkpoint: { step: 100 }, chosen: 'champion 1 of emotion' });
    expect(await chooseModel(store, { newest: true })).toMatchObject({ checkpoint: { step: 300 }, chosen: 'the newest' });
    expect(await chooseModel(store, { model: 'made/200' })).toMatchObject({ checkpoint: { step: 200 } });
    await expect(chooseModel(store, { model: 'made/200', newest: true })).rejects.toThrow(misuse('Give one of the two'));
  });

  it('is refused with the reason if the champion no longer exists', async () => {
    await promote(100);
    await models.write({ step: 200, right: 5 });
    await store.delete(manifestKey('made', 100));
    await expect(chooseModel(store, {})).rejects.toThrow(misuse('Champion 1 of emotion is made/100, which no longer exists'));
  });
});
