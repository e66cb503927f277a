import * as tf from '@tensorflow/tfjs';
import { afterAll, describe, expect, test } from 'vitest';
import { byBatchStatistics } from '#paper/batch-norm.js';
import { chooseBackend } from './backend.js';
import { classificationLoss, taskLosses } from '#paper/classification-phase.js';
import { generatorLoss, meanSquaredError } from '#paper/losses.js';
import { modelParameters } from '#paper/model.js';
import { createPaperModel } from '#paper/paper-model.js';
import { decode, encode, headLogits, seededDropout } from '#paper/networks.js';
import type { FusedOps } from './fused-ops.js';
import { opsOfBackend } from './ops-of-backend.js';
import { lossAndGradients } from './parameter.js';
import { portableOps } from './portable-ops.js';
import { SeededRandom } from './random.js';
import { pixelsOf } from '#paper/tiles.js';
import { tinyBatch, tinySettings } from '#paper/tiny-model.js';
import { caseModel, cases, runCase } from '#paper/three-phases.fixture.js';
import { type StepLosses, trainStep } from '#paper/train-step.js';
import { provideWebgpu } from './webgpu-device.js';

/** Where CI has put Dawn, and a driver in software. */
const webgpuDir = process.env['WEBGPU_DIR'];
if (webgpuDir) process.env['VK_ICD_FILENAMES'] ??= '/usr/lib/chromium/vk_swiftshader_icd.json';
const quietly = { hasGpu: false, webgpuDir, log: () => {} };
const missing: Record<string, string> = {};
for (const requested of ['wasm', 'node', ...(webgpuDir ? ['webgpu'] : [])]) {
  await chooseBackend({ requested, ...quietly }).catch((error: Error) => {
    missing[requested] = error.message;
    console.log(`skipped on ${requested}: ${error.message}`);
  });
}
afterAll(() => chooseBackend({ requested: 'cpu', ...quietly }));

test('a name that is none, and one that cannot load, are errors that say so', async () => {
  await expect(chooseBackend({ requested: 'cuda', ...quietly })).rejects.toMatchObject({
    code: 'SETTINGS_INVALID',
    message: expect.stringContaining('node-gpu, webgpu, node, wasm, cpu'),
  });
  if (missing['node'])
    await expect(chooseBackend({ requested: 'node', ...quietly })).rejects.toMatchObject({ code: 'PREREQUISITE_MISSING' });
});

/** Native TensorFlow is set up from packages on Linux x64 alone. */
const mayLackNative = process.platform !== 'linux' || process.arch !== 'x64';
test('what the tests below run on has loaded: wasm everywhere, native on Linux x64, Dawn where its folder is named', () => {
  const { node, ...others } = missing;
  expect(mayLackNative ? others : missing, node).toEqual({});
});

test('without its package webgpu says what to install', async () => {
  const choice = provideWebgpu('/nowhere');
  await expect(choice).rejects.toMatchObject({
    code: 'PREREQUISITE_MISSING',
    message: expect.stringContaining('npm install --prefix DIR webgpu@'),
  });
});

test('unasked it takes the first that loads, and tells what it tried', async () => {
  const lines: string[] = [];
  const choice = await chooseBackend({ hasGpu: false, log: (line) => lines.push(line) });
  expect(choice.tried[0]).toEqual({ name: 'node-gpu', error: 'no NVIDIA device seen' });
  expect(choice.name).toBe(missing['node'] ? 'wasm' : 'node');
  expect(lines).toEqual([expect.stringContaining(choice.name)]);
});

/** All losses in one sum, and its gradient for every weight; no batch norm is the identity. */
async function gradientsOn(requested: string, latent: 'gaussian' | 'relu') {
  await chooseBackend({ requested, ...quietly });
  const model = createPaperModel(tinySettings({ latent }));
  const random = SeededRandom.fromSeed(11);
  for (const { name, value } of modelParameters(model)) {
    const shift = name.endsWith('.gamma') ? 0.5 : name.endsWith('.beta') ? -0.5 : null;
    if (shift === null) continue;
    const values = Float32Array.from({ length: value.size }, () => shift + random.uniform());
    tf.tidy(() => value.assign(tf.tensor(values, value.shape)));
  }
  const batch = tinyBatch(model.settings, 6);
  const parameters = modelParameters(model);
  const pixels = pixelsOf(batch.tiles, batch.count, model.settings.tile);
  const { loss, gradients } = lossAndGradients(() => {
    const z = encode(model.encoder, pixels, byBatchStatistics());
    const reconstruction = meanSquaredError(pixels, decode(model.decoder!, z, byBatchStatistics()));
    const generator = generatorLoss(headLogits(model.discriminator!, z, seededDropout(model.random, 0.5)), 'non-saturating');
    return tf.addN<tf.Scalar>([reconstruction, generator, classificationLoss(taskLosses(model, z, batch), model)]);
  }, parameters);
  const named: { name: string; values: Float32Array }[] = [];
  for (const [i, gradient] of gradients.entries()) named.push({ name: parameters[i]!.name, values: await gradient!.data<'float32'>() });
  const result = { loss: (await loss.data())[0]!, gradients: named };
  tf.dispose([pixels, loss, ...(gradients as tf.Tensor[])]);
  model.dispose();
  return result;
}

/** The first losses of a small net by plain descent, its prior samples the same everywhere. (Adam divides by gradients that are nearly 0: float32 alone moves it by 2e-3.) */
async function lossesOn(requested: string, name: string): Promise<StepLosses[]> {
  await chooseBackend({ requested, ...quietly });
  const model = caseModel(cases[name]!);
  const { losses } = await runCase(model, 3, 'sgd');
  model.dispose();
  return losses;
}

const others = ['node', 'wasm', ...(webgpuDir ? ['webgpu'] : [])];

describe.each(others)('on %s', (requested) => {
  test.skipIf(requested in missing).each(Object.keys(cases))('%s: the first losses are those on cpu, within 1e-3', async (name) => {
    const plain = await lossesOn('cpu', name);
    const other = await lossesOn(requested, name);
    for (const [step, losses] of plain.entries()) {
      for (const [part, loss] of Object.entries(losses) as [keyof StepLosses, number | null][]) {
        const found = other[step]![part];
        if (loss === null || part === 'discriminatorAccuracy') continue;
        expect(Math.abs(found! - loss) / Math.max(1e-2, Math.abs(loss)), `${part} at step ${step}`).toBeLessThan(1e-3);
      }
    }
  });

  test.skipIf(requested in missing).each(['gaussian', 'relu'] as const)(
    'loss and gradients are those of plain ops on cpu, latent %s',
    async (latent) => {
      const plain = await gradientsOn('cpu', latent);
      const other = await gradientsOn(requested, latent);
      expect(other.loss).toBeCloseTo(plain.loss, 4);
      plain.gradients.forEach(({ name, values }, i) => {
        const difference = Math.hypot(...values.map((value, j) => value - other.gradients[i]!.values[j]!));
        expect(difference / (Math.hypot(...values) + 1e-4), name).toBeLessThan(5e-3);
      });
    },
  );

  test.skipIf(requested in missing || requested !== 'node')('fused operations and plain ones agree, on the same backend', async () => {
    await chooseBackend({ requested, ...quietly });
    const random = SeededRandom.fromSeed(5);
    const uniform = (shape: number[], from: number) =>
      tf.tensor(
        Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => from + random.uniform()),
        shape,
      );
    const x = uniform([6, 8, 12, 5], -0.3) as tf.Tensor4D;
    const [gamma, beta] = [uniform([5], 0.5) as tf.Tensor1D, uniform([5], -0.5) as tf.Tensor1D];
    const weights = uniform([6, 8, 12, 5], -0.5);
    const by = (ops: FusedOps) => {
      const seen = tf.tidy(() => ({ ...ops.batchNormTraining(x, gamma, beta, 1e-3) }));
      const loss = (given: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) => {
        const { normalised, mean, variance } = ops.batchNormTraining(
          given as tf.Tensor4D,
          scale as tf.Tensor1D,
          shift as tf.Tensor1D,
          1e-3,
        );
        tf.dispose([mean, variance]);
        return tf.sum(tf.mul(tf.square(ops.relu(normalised)), weights));
      };
      const [dx, dGamma, dBeta] = tf.grads(loss)([x, gamma, beta]);
      const floats = ops.floatsOf(Uint8Array.of(0, 1, 128, 255), [2, 2]);
      const found = { ...seen, dx: dx!, dGamma: dGamma!, dBeta: dBeta!, floats };
      return Object.entries(found).map(([name, tensor]) => ({ name, values: tensor.dataSync<'float32'>() }));
    };
    const plain = by(portableOps);
    by(opsOfBackend()).forEach(({ name, values }, i) => {
      const expected = plain[i]!.values;
      const difference = Math.hypot(...values.map((value, j) => value - expected[j]!));
      expect(difference / Math.hypot(...expected), name).toBeLessThan(1e-4);
    });
    expect(opsOfBackend()).not.toBe(portableOps);
  });

  test.skipIf(requested in missing)('steps are finite, repeatable, and keep the tensor count flat', async () => {
    await chooseBackend({ requested, ...quietly });
    const run = async () => {
      const model = createPaperModel(tinySettings());
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
