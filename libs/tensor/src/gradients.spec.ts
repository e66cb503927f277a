/** Every loss against finite differences, so that neither a missing factor nor a cut path can hide behind a falling loss. */
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chooseBackend } from './backend.js';
import { byBatchStatistics } from '#paper/batch-norm.js';
import { classificationLoss, taskLosses } from '#paper/classification-phase.js';
import { discriminatorLoss, generatorLoss, meanSquaredError } from '#paper/losses.js';
import { headParameters, type Model, modelParameters } from '#paper/model.js';
import { createPaperModel } from '#paper/paper-model.js';
import { decode, encode, headLogits, seededDropout } from '#paper/networks.js';
import { lossAndGradients, type Parameter } from './parameter.js';
import { SeededRandom } from './random.js';
import { pixelsOf } from '#paper/tiles.js';
import { tinyBatch, tinySettings } from '#paper/tiny-model.js';

/** Small against the weights, large against float32: a loss near 1 is known to 1e-7. */
const STEP = 1e-3;

/** The same for the same weight, whatever its gradient. */
function randomDirection(size: number, seed: number): Float32Array {
  return tf.tidy(() =>
    SeededRandom.fromSeed(100 + seed)
      .normal([size])
      .dataSync<'float32'>(),
  );
}

let model: Model;
let losses: Record<string, { parameters: Parameter[]; loss: () => tf.Scalar }>;

beforeAll(async () => {
  await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => {} });
  model = createPaperModel(tinySettings({ seed: 3 }));
  const batch = tinyBatch(model.settings, 6);
  batch.emotion[0] = -1;
  const pixels = pixelsOf(batch.tiles, batch.count, model.settings.tile);
  const prior = tf.randomNormal<tf.Rank.R4>([6, 2, 2, 4], 0, 1, 'float32', 5);
  const { encoder, decoder, discriminator, heads } = model;
  const z = () => encode(encoder, pixels, byBatchStatistics());
  const judged = (latent: tf.Tensor4D) => headLogits(discriminator!, latent, seededDropout(model.random, 0.5));
  const constantZ = tf.tidy(z);
  losses = {
    reconstruction: {
      parameters: [...encoder.parameters, ...decoder!.parameters],
      loss: () => meanSquaredError(pixels, decode(decoder!, z(), byBatchStatistics())),
    },
    discriminator: { parameters: discriminator!.parameters, loss: () => discriminatorLoss(judged(prior), judged(constantZ), 0.9) },
    generator: { parameters: encoder.parameters, loss: () => generatorLoss(judged(z()), 'non-saturating') },
    'literal generator': { parameters: encoder.parameters, loss: () => generatorLoss(judged(z()), 'literal') },
    classification: {
      parameters: [...encoder.parameters, ...headParameters(heads)],
      loss: () => classificationLoss(taskLosses(model, z(), batch), model),
    },
  };
});
afterAll(() => model.dispose());

test.each(['reconstruction', 'discriminator', 'generator', 'literal generator', 'classification'])(
  'the gradient of the %s loss agrees with finite differences',
  (name) => {
    const { loss, parameters } = losses[name]!;
    const state = model.random.state;
    const again = () => {
      model.random = SeededRandom.fromState(state); // the same dropout masks each time
      return tf.tidy(() => loss().dataSync()[0]!);
    };
    model.random = SeededRandom.fromState(state);
    const { gradients } = lossAndGradients(loss, parameters);
    parameters.forEach(({ name: parameter, value }, i) => {
      const gradient = gradients[i]!.dataSync<'float32'>();
      const norm = Math.hypot(...gradient);
      const original = value.dataSync().slice();
      const here = again();
      // Along itself a gradient that is nothing would agree with a loss that stands still; a random way is not its choice.
      for (const [way, direction] of Object.entries({ itself: gradient, 'a random way': randomDirection(gradient.length, i) })) {
        const length = Math.hypot(...direction) || 1;
        const moved = (distance: number) => {
          const weights = original.map((weight, j) => weight + (distance * direction[j]!) / length);
          tf.tidy(() => value.assign(tf.tensor(weights, value.shape)));
          return again();
        };
        const slopes = [(moved(STEP) - here) / STEP, (here - moved(-STEP)) / STEP].toSorted((a, b) => a - b) as [number, number];
        tf.tidy(() => value.assign(tf.tensor(original, value.shape)));
        const expected = gradient.reduce((sum, slope, j) => sum + slope * direction[j]!, 0) / length;
        // At a kink of ReLU or max-pool the two sides differ, and the gradient is that of one of them.
        const beyond = Math.max(slopes[0] - expected, expected - slopes[1]);
        const said = `${parameter} along ${way}: slopes ${slopes.join(' and ')}, by the gradient ${expected}`;
        expect(beyond, said).toBeLessThan(0.03 * Math.abs(expected) + 3e-4);
      }
    });
    expect(gradients.some((gradient) => Math.hypot(...gradient!.dataSync()) > 1e-2)).toBe(true);
  },
);

test('no loss reaches a weight outside its networks', () => {
  const everything = modelParameters(model);
  for (const [name, { loss, parameters }] of Object.entries(losses)) {
    const { gradients } = lossAndGradients(loss, everything);
    const reached = everything.filter((_, i) => gradients[i]).map((parameter) => parameter.name);
    const own = parameters.map((parameter) => parameter.name);
    // The generator's loss does depend on the discriminator: it is the optimiser's list that freezes it.
    const expected = name.endsWith('generator') ? [...own, ...model.discriminator!.parameters.map((parameter) => parameter.name)] : own;
    expect(reached.toSorted(), name).toEqual(expected.toSorted());
  }
});
