/**
 * What phase 2 is for (paper, Section III-A): with it the values of z are distributed more like the prior than without,
 * by a distance that knows nothing of the discriminator, on tiles that were not trained on, over three seeds.
 *
 * Of single values, not of whole latents: a deterministic encoder of few tiles stays far from N(0, I) in all its
 * dimensions together, with phase 2 or without, and a discriminator that is trained afresh tells both apart.
 */
import { beforeAll, expect, test } from 'vitest';
import { reestimateBatchNorm } from './batch-norm-statistics.js';
import { chooseBackend } from './backend.js';
import { createModel } from './model.js';
import { encode } from './predict.js';
import { SeededRandom } from './random.js';
import { tinyBatch, tinySettings, withoutLabels } from './tiny-model.js';
import { trainStep } from './train-step.js';

const STEPS = 150;
const TILES = 12;

beforeAll(async () => void (await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => undefined })));

/** Values of z of tiles that were not trained on. */
async function latents(system: 'aae' | 'ae', seed: number): Promise<Float32Array> {
  const settings = tinySettings({
    system,
    seed,
    dropout: 0,
    learningRate: 3e-3,
    dense: 16,
    headFilters: 8,
    pools: [
      [2, 2],
      [1, 2],
      [2, 2],
    ],
    regularisation: { discriminatorRate: 0.3, encoderRate: 0.3 },
  });
  const model = createModel(settings);
  const batches = Array.from({ length: 8 }, (_, i) => withoutLabels(tinyBatch(settings, TILES, 100 * seed + i)));
  for (let step = 0; step < STEPS; step++) await trainStep(model, batches[step % batches.length]!);
  await reestimateBatchNorm(model, batches);
  const z = await encode(model, tinyBatch(settings, 96, 7_000 + seed).tiles, 96);
  model.dispose();
  return z;
}

/** Wasserstein distance of values to N(0, 1): the mean difference of both in order. */
function distanceToNormal(values: Float32Array): number {
  const sorted = values.toSorted();
  const normal = SeededRandom.fromSeed(3).normal([values.length]).dataSync<'float32'>().toSorted();
  return sorted.reduce((sum, value, i) => sum + Math.abs(value - normal[i]!), 0) / values.length;
}

test.each([1, 2, 3])('phase 2 brings the latents closer to the prior, seed %i', async (seed) => {
  const [withPhase2, without] = [distanceToNormal(await latents('aae', seed)), distanceToNormal(await latents('ae', seed))];
  console.log(`seed ${seed}: ${withPhase2.toFixed(3)} with phase 2, ${without.toFixed(3)} without`);
  expect(withPhase2).toBeLessThan(0.75 * without);
});
