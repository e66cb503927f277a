import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createModel } from '#baselines/create-model.js';
import { featureSettings, settingsHash } from '#audio/feature-settings.js';
import { championKey, knownSettingsKey, manifestKey } from '#contracts/object-keys.js';
import { saveModel } from '#model-files/checkpoint.js';
import { tinySettings } from '#paper/tiny-model.js';
import { MadeModels } from '#rounds/made-models.fixture.js';
import type { Checkpoint } from '#rounds/checkpoint-store.js';
import { FolderStore } from '#storage/folder-store.js';
import { sha256Hex } from '#storage/object-store.js';
import { ModelKeeper } from './model-keeper.js';

const settings = featureSettings({ rows: 8, width: 16 });
const hash = settingsHash(settings, null);
const logger = { info: () => undefined, warn: () => undefined, error: () => undefined } as never;
let folder: string;
let store: FolderStore;
let keeper: ModelKeeper;
let served: string[];

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-keeper-'));
  store = new FolderStore(folder);
  await store.put(knownSettingsKey(hash), JSON.stringify(settings));
  served = [];
  keeper = new ModelKeeper({
    ...{ store, logger },
    onChange: ({ name, identity }) => void served.push(`${name} ${identity.champion ?? 'newest'}`),
    crash: (error) => {
      throw error;
    },
  });
});
afterEach(() => {
  keeper.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Writes a finished model whose weights load. */
async function write(step: number, changes: Partial<Checkpoint> = {}): Promise<Checkpoint> {
  await new MadeModels(store).write({ step, right: 5 });
  const made = (await store.findJson(manifestKey('made', step))) as Checkpoint;
  const model = createModel(tinySettings());
  const { manifest, bytes } = await saveModel(model);
  model.dispose();
  const weights = { key: made.weights.key, sha256: sha256Hex(bytes), sizeBytes: bytes.length };
  const checkpoint: Checkpoint = {
    ...made,
    model: { ...manifest },
    weights,
    settingsHash: hash,
    savedAt: new Date(step * 1000).toISOString(),
    ...changes,
  };
  await store.put(weights.key, bytes);
  await store.put(manifestKey('made', step), JSON.stringify(checkpoint));
  return checkpoint;
}
async function crown(number: number, { step, weights }: Checkpoint): Promise<void> {
  const model = { runId: 'made', step, manifestKey: manifestKey('made', step), sha256: weights.sha256 };
  const claim = '00000000-0000-4000-8000-000000000000';
  await store.put(
    championKey(number),
    JSON.stringify({ number, target: 'emotion', model, since: '2026-11-30T21:00:00Z', claim, why: 'better', by: 'person', after: null }),
  );
}

describe('the served model', () => {
  it('is the newest until there is a champion, and then the champion', async () => {
    await keeper.refresh();
    expect(keeper.model).toBeNull();
    const first = await write(20);
    await keeper.refresh();
    await write(40);
    await keeper.refresh();
    await crown(1, first);
    await keeper.refresh();
    await write(60);
    await keeper.refresh();
    expect(served).toEqual(['made/20 newest', 'made/40 newest', 'made/20 1']);
  });

  it('stays if the next one is damaged, and says why', async () => {
    await write(20);
    await keeper.refresh();
    const next = await write(40);
    await store.put(next.weights.key, 'no weights');
    await keeper.refresh();
    expect(keeper.model?.name).toBe('made/20');
    expect(keeper.problem).toMatch(/CHECKPOINT_INVALID: .*sha256/);
    await write(60);
    await keeper.refresh();
    expect([keeper.model?.name, keeper.problem]).toEqual(['made/60', null]);
  });

  it('is not chosen anew because an announced manifest cannot be read', async () => {
    await write(20);
    await keeper.refresh();
    await store.put(manifestKey('made', 40), '{"no": "manifest"}');
    keeper.noteCheckpoint({ runId: 'made', step: 40 });
    await keeper.refresh();
    expect(served).toEqual(['made/20 newest']);
  });
});
