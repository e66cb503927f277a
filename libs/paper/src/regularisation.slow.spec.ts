/**
 * The purpose of phase 2 (paper, Section III-A): with it latents are distributed more like the prior than without, on tiles
 * that were not trained on, over three seeds. The spec measures z of four numbers: the distance of single values, that of whole
 * latents (MMD), and the share that a discriminator tells apart when it is trained afresh.
 *
 * For large latents the last two do not hold: `npm run bench -- controls` prints them, and docs/experiments.md explains them.
 */
import { beforeAll, expect, test } from 'vitest';
import { chooseBackend } from '#tensor/backend.js';
import { freshDiscriminatorAccuracy, squaredMmdToPrior } from './latent-distance.fixture.js';
import { HELD_OUT, MEASURED, withAndWithout } from './prior-distance.fixture.js';
import { SeededRandom } from '#tensor/random.js';
import { tinySettings } from './tiny-model.js';

const SEEDS = [1, 2, 3];

beforeAll(async () => void (await chooseBackend({ requested: 'node', hasGpu: false, log: () => undefined })));

test.each(SEEDS)('phase 2 brings latents closer to the prior, by each measure, seed %i', async (seed) => {
  const [withPhase2, without] = await withAndWithout(1, seed);
  expect(withPhase2.squaredMmd).toBeLessThan(without.squaredMmd);
  expect(withPhase2.toldApart).toBeLessThan(without.toldApart);
  expect(withPhase2.values).toBeLessThan(0.75 * without.values);
});

test('the measures tell the prior from itself no better than chance, and a shifted one well', () => {
  const settings = tinySettings({ filters: [2, 3, 1] });
  const drawn = SeededRandom.fromSeed(8).normal([HELD_OUT, 4]).dataSync<'float32'>();
  const shifted = drawn.map((value) => value + 1);
  expect(Math.abs(squaredMmdToPrior(drawn.subarray(0, 4 * MEASURED), MEASURED))).toBeLessThan(0.01);
  expect(squaredMmdToPrior(shifted.subarray(0, 4 * MEASURED), MEASURED)).toBeGreaterThan(0.1);
  expect(freshDiscriminatorAccuracy(drawn, HELD_OUT, settings)).toBeLessThan(0.6);
  expect(freshDiscriminatorAccuracy(shifted, HELD_OUT, settings)).toBeGreaterThan(0.75);
});
