import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { chooseBackend } from '#tensor/backend.js';
import { byBatchStatistics } from './batch-norm.js';
import { reestimateBatchNorm } from './batch-norm-statistics.js';
import { type Model, modelStatistics } from './model.js';
import { createPaperModel } from './paper-model.js';
import { encode as encodePixels } from './networks.js';
import { encode, predict, reconstruct } from './predict.js';
import { latentShape } from './settings.js';
import { pixelsOf } from './tiles.js';
import { tinyBatch, tinySettings } from './tiny-model.js';

let model: Model;
beforeAll(async () => void (await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => {} })));
afterEach(() => model.dispose());

test('rows are rows and frames are frames', async () => {
  model = createPaperModel(
    tinySettings({
      tile: [32, 128],
      pools: [
        [2, 2],
        [2, 4],
        [2, 2],
      ],
    }),
  );
  const tile = new Uint8Array(32 * 128);
  tile.fill(255, 2 * 128, 3 * 128); // row 2, every frame
  const pixels = pixelsOf(tile, 1, [32, 128]);
  expect([...tf.tidy(() => tf.mean(pixels, [0, 2, 3])).dataSync()]).toEqual(Array.from({ length: 32 }, (_, row) => Number(row === 2)));
  pixels.dispose();

  const [rows, frames, channels] = latentShape(model.settings);
  expect([rows, frames]).toEqual([4, 8]);
  const click = new Uint8Array(32 * 128);
  click[4 * 128 + 120] = 255; // the middle of what the lowest row's last cell of z sees
  const quiet = await encode(model, new Uint8Array(32 * 128), 1);
  const change = (await encode(model, click, 1)).map((value, i) => Math.abs(value - quiet[i]!));
  const strongest = Math.floor(change.indexOf(Math.max(...change)) / channels);
  expect({ row: Math.floor(strongest / frames), frame: strongest % frames }).toEqual({ row: 0, frame: 7 });
});

test('chunks change nothing, and tile order is kept', async () => {
  model = createPaperModel(tinySettings());
  const { tiles } = tinyBatch(model.settings, 35);
  const all = await predict(model, tiles, 35);
  const last = await predict(model, tiles.subarray(34 * 128), 1);
  expect(all.emotion).toHaveLength(35 * 4);
  all.emotion.subarray(34 * 4).forEach((share, i) => expect(share).toBeCloseTo(last.emotion[i]!, 6));
  expect(await reconstruct(model, tiles, 35)).toHaveLength(35 * 128);
  expect(await encode(model, tiles, 35)).toHaveLength(35 * 2 * 2 * 4);
});

test('no tiles give no predictions; heads that do not exist give null', async () => {
  model = createPaperModel(tinySettings({ system: 'cnn', auxiliary: { gender: false, speaker: true } }));
  expect(await predict(model, new Uint8Array(), 0)).toEqual({ emotion: new Float32Array(), gender: null, speaker: new Float32Array() });
  await expect(reconstruct(model, new Uint8Array(), 0)).rejects.toThrow(/no decoder/);
});

test('inference holds on to nothing and depends on each tile alone', async () => {
  model = createPaperModel(tinySettings());
  const { tiles } = tinyBatch(model.settings, 3);
  const alone = (await predict(model, tiles.subarray(0, 128), 1)).emotion;
  const { numTensors } = tf.memory();
  const together = (await predict(model, tiles, 3)).emotion;
  expect(tf.memory().numTensors).toBe(numTensors);
  alone.forEach((share, i) => expect(share).toBeCloseTo(together[i]!, 6));
});

test('re-estimated statistics are the average over the batches, weighted by tiles', async () => {
  model = createPaperModel(tinySettings());
  const batch = tinyBatch(model.settings, 6);
  const part = (first: number, last: number) => ({ tiles: batch.tiles.subarray(first * 128, last * 128), count: last - first });
  const estimate = async (...batches: ReturnType<typeof part>[]) => {
    const { numTensors } = tf.memory();
    await reestimateBatchNorm(model, batches);
    expect(tf.memory().numTensors).toBe(numTensors);
    return modelStatistics(model).map(({ value }) => value.dataSync().slice());
  };
  const two = await estimate(part(0, 2));
  const four = await estimate(part(2, 6));
  const both = await estimate(part(0, 2), part(2, 6));
  both.forEach((values, i) => values.forEach((value, j) => expect(value).toBeCloseTo((2 * two[i]![j]! + 4 * four[i]![j]!) / 6, 5)));
  expect(await estimate()).toEqual(both);
});

test('after re-estimation on one batch, inference on it equals the training pass', async () => {
  model = createPaperModel(tinySettings());
  const batch = tinyBatch(model.settings, 6);
  await reestimateBatchNorm(model, [batch]);
  const training = tf.tidy(() => encodePixels(model.encoder, pixelsOf(batch.tiles, 6, [8, 16]), byBatchStatistics()).dataSync<'float32'>());
  (await encode(model, batch.tiles, 6)).forEach((value, i) => expect(value).toBeCloseTo(training[i]!, 4));
});
