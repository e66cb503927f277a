import * as tf from '@tensorflow/tfjs';
import { afterAll, describe, expect, test } from 'vitest';
import { byBatchStatistics } from './batch-norm.js';
import { chooseBackend } from './backend.js';
import { classificationLoss, taskLosses } from './classification-phase.js';
import { generatorLoss, meanSquaredError } from './losses.js';
import { createModel, modelParameters } from './model.js';
import { decode, encode, headLogits, seededDropout } from './networks.js';
import { lossAndGradients } from './parameter.js';
import { pixelsOf } from './tiles.js';
import { tinyBatch, tinySettings } from './tiny-model.js';
import { trainStep } from './train-step.js';

const quietly = { hasGpu: false, log: () => {} };
const missing: Record<string, string> = {};
for (const requested of ['wasm', 'node']) {
  await chooseBackend({ requested, ...quietly }).catch((error: Error) => {
    missing[requested] = error.message;
    console.log(`skipped on ${requested}: ${error.message}`);
  });
}
afterAll(() => chooseBackend({ requested: 'cpu', ...quietly }));

test('a name that is none, and one that cannot load, are errors that say so', async () => {
  await expect(chooseBackend({ requested: 'cuda', ...quietly })).rejects.toMatchObject({
    code: 'SETTINGS_INVALID',
    message: expect.stringContaining('node-gpu, node, wasm, cpu'),
  });
  if (missing['node'])
    await expect(chooseBackend({ requested: 'node', ...quietly })).rejects.toMatchObject({ code: 'PREREQUISITE_MISSING' });
});

test('unasked it takes the first that loads, and tells what it tried', async () => {
  const lines: string[] = [];
  const choice = await chooseBackend({ hasGpu: false, log: (line) => lines.push(line) });
  expect(choice.tried[0]).toEqual({ name: 'node-gpu', error: 'no NVIDIA device seen' });
  expect(choice.name).toBe(missing['node'] ? 'wasm' : 'node');
  expect(lines).toEqual([expect.stringContaining(choice.name)]);
});

/** All losses in one sum, and its gradient for every weight. */
async function gradientsOn(requested: string) {
  await chooseBackend({ requested, ...quietly });
  const model = createModel(tinySettings({ latent: 'relu' }));
  const batch = tinyBatch(model.settings, 6);
  const parameters = modelParameters(model);
  const result = tf.tidy(() => {
    const pixels = pixelsOf(batch.tiles, batch.count, model.settings.tile);
    const { loss, gradients } = lossAndGradients(() => {
      const z = encode(model.encoder, pixels, byBatchStatistics());
      const reconstruction = meanSquaredError(pixels, decode(model.decoder!, z, byBatchStatistics()));
      const generator = generatorLoss(headLogits(model.discriminator!, z, seededDropout(model.random, 0.5)), 'non-saturating');
      return tf.addN<tf.Scalar>([reconstruction, generator, classificationLoss(taskLosses(model, z, batch), model)]);
    }, parameters);
    return {
      loss: loss.dataSync()[0]!,
      gradients: gradients.map((gradient, i) => ({ name: parameters[i]!.name, values: gradient!.dataSync().slice() })),
    };
  });
  model.dispose();
  return result;
}

describe.each(['node', 'wasm'])('on %s', async (requested) => {
  test.skipIf(requested in missing)('loss and gradients are those of plain ops on cpu', async () => {
    const plain = await gradientsOn('cpu');
    const other = await gradientsOn(requested);
    expect(other.loss).toBeCloseTo(plain.loss, 4);
    plain.gradients.forEach(({ name, values }, i) => {
      const difference = Math.hypot(...values.map((value, j) => value - other.gradients[i]!.values[j]!));
      expect(difference / (Math.hypot(...values) + 1e-4), name).toBeLessThan(1e-2);
    });
  });

  test.skipIf(requested in missing)('steps are finite, repeatable, and keep the tensor count flat', async () => {
    await chooseBackend({ requested, ...quietly });
    const run = async () => {
      const model = createModel(tinySettings());
      const batch = tinyBatch(model.settings, 4);
      const first = await trainStep(model, batch);
      const { numTensors } = tf.memory();
      const second = await trainStep(model, batch);
      expect(tf.memory().numTensors).toBe(numTensors);
      model.dispose();
      return [first, second];
    };
    const [first, second] = await run();
    expect(Object.values({ ...first, ...second }).every(Number.isFinite)).toBe(true);
    expect((await run())[0]!.discriminator).toBeCloseTo(first!.discriminator!, 5);
  });
});
