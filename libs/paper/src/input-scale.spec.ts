import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { loadModel, saveModel } from '#model-files/checkpoint.js';
import { chooseBackend } from '#tensor/backend.js';
import { fitRowScale, inputOf, outputPixels } from './input-scale.js';
import type { Model } from './model.js';
import { createPaperModel } from './paper-model.js';
import { predict } from './predict.js';
import { tinyBatch, tinySettings } from './tiny-model.js';
import { trainStep } from './train-step.js';

let model: Model;
beforeAll(async () => void (await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => {} })));
afterEach(() => model.dispose());

const standardised = { input: { standardise: 'rows' } } as const;

function fitted(count = 12) {
  model = createPaperModel(tinySettings(standardised));
  const batch = tinyBatch(model.settings, count);
  fitRowScale(model, [batch]);
  return batch;
}

describe('rows standardised by training tiles', () => {
  test('each row of the training tiles has mean 0 and deviation 1 at the input', () => {
    const { tiles, count } = fitted();
    const [means, variances] = tf.tidy(() => {
      const { mean, variance } = tf.moments(inputOf(model, tiles, count), [0, 2, 3]); // [B,8,16,1] -> [8]
      return [Array.from(mean.dataSync()), Array.from(variance.dataSync())];
    });
    for (const mean of means) expect(mean).toBeCloseTo(0, 4);
    for (const variance of variances) expect(variance).toBeCloseTo(1, 3);
  });

  test('a row that is the same in all tiles is not blown up', () => {
    model = createPaperModel(tinySettings(standardised));
    const [rows, frames] = model.settings.tile;
    fitRowScale(model, [{ tiles: new Uint8Array(4 * rows * frames).fill(9), count: 4 }]);
    const another = new Uint8Array(rows * frames).fill(10);
    const largest = tf.tidy(() => tf.max(tf.abs(inputOf(model, another, 1))).dataSync()[0]!);
    expect(largest).toBeLessThan(1);
  });

  test('the output goes back to pixels', () => {
    const { tiles, count } = fitted();
    const difference = tf.tidy(() => {
      const back = outputPixels(model, inputOf(model, tiles, count));
      return tf.max(tf.abs(tf.sub(back, tf.div(tf.tensor(tiles, back.shape, 'float32'), 255)))).dataSync()[0]!;
    });
    expect(difference).toBeLessThan(1e-5);
  });

  test('a checkpoint holds the scale: the loaded model gives the same answers', async () => {
    const { tiles, count } = fitted();
    const before = await predict(model, tiles, count);
    const { manifest, bytes } = await saveModel(model);
    model.dispose();
    model = loadModel(manifest, bytes) as Model;
    expect((await predict(model, tiles, count)).emotion).toEqual(before.emotion);
  });

  test('training does not move the scale', async () => {
    const batch = fitted();
    const scale = model.rowScale!.layers;
    const before = [scale.mean, scale.deviation].map(({ value }) => value.dataSync().slice());
    for (let step = 0; step < 3; step++) await trainStep(model, batch);
    expect([scale.mean, scale.deviation].map(({ value }) => value.dataSync())).toEqual(before);
  });
});

test('without the setting, pixels are taken as they are and nothing is measured', () => {
  model = createPaperModel(tinySettings());
  const { tiles, count } = tinyBatch(model.settings, 3);
  fitRowScale(model, [{ tiles, count }]);
  expect(model.rowScale).toBeNull();
  const first = tf.tidy(() => inputOf(model, tiles, count).dataSync().slice(0, 20));
  expect(Array.from(first, (pixel) => Math.round(pixel * 255))).toEqual(Array.from(tiles.subarray(0, 20)));
});
