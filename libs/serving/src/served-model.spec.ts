import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { createModel } from '#baselines/create-model.js';
import { tinyBatch, tinySettings } from '#paper/tiny-model.js';
import { entropyOf } from './score-tiles.js';
import { ServedModel } from './served-model.js';

const identity = { runId: 'main', step: 20, target: 'emotion', champion: 1 } as const;
const trainedWith = 'a'.repeat(16);
const settings = tinySettings();
const { tiles } = tinyBatch(settings, 20);
const tileBytes = settings.tile[0] * settings.tile[1];
const recording = (first: number, count: number, settingsHash = trainedWith) => ({
  tiles: tiles.subarray(first * tileBytes, (first + count) * tileBytes),
  count,
  times: Array.from({ length: count }, (_, tile) => ({ startSec: tile, endSec: tile + 1.00049 })),
  settingsHash,
});
const served = (): ServedModel => new ServedModel(createModel(settings), identity, new Set([trainedWith]), trainedWith);

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('a served model', () => {
  it('refuses tiles of other feature settings, and scores nothing then', async () => {
    const model = served();
    const refused = model.score([recording(0, 1), recording(1, 1, 'b'.repeat(16))]);
    await expect(refused).rejects.toMatchObject({ code: 'FEATURE_SETTINGS_MISMATCH' });
    await expect(refused).rejects.toThrow(/bbbbbbbbbbbbbbbb.*main\/20 was trained with aaaaaaaaaaaaaaaa/);
    model.retire();
  });

  it('gives each recording the mean of its own tiles, whatever it is scored with', async () => {
    const model = served();
    const together = await model.score([recording(0, 1), recording(1, 18), recording(19, 1)]);
    const [alone] = await model.score([recording(1, 18)]);
    expect(together[1]).toEqual(alone);
    expect(alone?.tiles).toHaveLength(18);
    const mean = (alone?.tiles ?? []).reduce((sum, tile) => sum + (tile.probabilities.emotion?.[0] ?? 0), 0) / 18;
    expect(alone?.probabilities.emotion?.['angry']).toBeCloseTo(mean, 5);
    expect(alone?.tiles[0]).toMatchObject({ startSec: 0, endSec: 1 });
    expect(Object.keys(alone?.probabilities ?? {})).toEqual(['emotion', 'gender']);
    model.retire();
  });

  it('frees its tensors when its last score is done', async () => {
    const before = tf.memory().numTensors;
    const model = served();
    const scoring = model.score([recording(0, 20)]);
    model.retire();
    expect((await scoring)[0]?.tiles).toHaveLength(20);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('the entropy of an answer', () => {
  it('is 0 bits if it is certain, and 2 bits for a guess among four', () => {
    expect(entropyOf([1, 0, 0, 0])).toBe(0);
    expect(entropyOf([0.25, 0.25, 0.25, 0.25])).toBe(2);
  });
});
