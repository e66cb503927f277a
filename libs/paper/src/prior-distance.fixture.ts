/**
 * For regularisation.slow.spec.ts and `npm run bench -- controls`: how far latents lie from the prior, of models that were trained
 * with and without phase 2 on made tiles.
 */
import { reestimateBatchNorm } from './batch-norm-statistics.js';
import { freshDiscriminatorAccuracy, squaredMmdToPrior } from './latent-distance.fixture.js';
import { createPaperModel } from './paper-model.js';
import { encode } from './predict.js';
import { SeededRandom } from '#tensor/random.js';
import { latentShape } from './settings.js';
import { tinySettings } from './tiny-model.js';
import { type TrainingBatch, trainStep } from './train-step.js';

const STEPS = 300;
const TILES = 16;
const BATCHES = 16;
export const HELD_OUT = 512;
/** MMD is of as many: its cost is quadratic. */
export const MEASURED = 256;

interface Distances {
  /** Wasserstein, of single values to N(0, 1). */
  values: number;
  squaredMmd: number;
  /** Share that a discriminator trained afresh tells apart. */
  toldApart: number;
}

/** @param channels of z, which has 2 x 2 places */
async function distances(system: 'aae' | 'ae', channels: number, seed: number): Promise<Distances> {
  const settings = tinySettings({
    system,
    seed,
    dropout: 0,
    filters: [4, 8, channels],
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
  const model = createPaperModel(settings);
  const batches = Array.from({ length: BATCHES }, (_, i) => spots(settings.tile, TILES, 100 * seed + i));
  for (let step = 0; step < STEPS; step++) await trainStep(model, batches[step % BATCHES]!);
  await reestimateBatchNorm(model, batches);
  const z = await encode(model, spots(settings.tile, HELD_OUT, 7_000 + seed).tiles, HELD_OUT);
  model.dispose();
  const size = latentShape(settings).reduce((product, length) => product * length);
  return {
    values: distanceToNormal(z),
    squaredMmd: squaredMmdToPrior(z.subarray(0, MEASURED * size), MEASURED),
    toldApart: freshDiscriminatorAccuracy(z, HELD_OUT, settings),
  };
}

/** Unlabelled tiles of one bright spot; its place, size and brightness are drawn, so that there is no end of different ones. */
function spots([rows, frames]: readonly [number, number], count: number, seed: number): TrainingBatch {
  const random = SeededRandom.fromSeed(seed);
  const tiles = new Uint8Array(count * rows * frames);
  for (let tile = 0; tile < count; tile++) {
    const [row, frame] = [1 + random.uniform() * (rows - 3), 2 + random.uniform() * (frames - 5)];
    const [width, gain] = [0.7 + random.uniform() * 1.5, 80 + random.uniform() * 150];
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < frames; x++) {
        const energy = Math.exp(-(((y - row) / width) ** 2) - ((x - frame) / (2 * width)) ** 2);
        tiles[(tile * rows + y) * frames + x] = Math.min(255, Math.round(gain * energy + 20 * random.uniform()));
      }
  }
  const none = new Int32Array(count).fill(-1);
  return { tiles, count, emotion: none, gender: none, speaker: none };
}

/** Wasserstein distance of values to N(0, 1): the mean difference of both in order. */
function distanceToNormal(values: Float32Array): number {
  const sorted = values.toSorted();
  const normal = SeededRandom.fromSeed(3).normal([values.length]).dataSync<'float32'>().toSorted();
  return sorted.reduce((sum, value, i) => sum + Math.abs(value - normal[i]!), 0) / values.length;
}

export async function withAndWithout(channels: number, seed: number): Promise<[Distances, Distances]> {
  const both: [Distances, Distances] = [await distances('aae', channels, seed), await distances('ae', channels, seed)];
  for (const [i, { values, squaredMmd, toldApart }] of both.entries())
    console.log(
      `z of ${4 * channels}, seed ${seed}, ${i === 0 ? 'with' : 'without'} phase 2: squared MMD ${squaredMmd.toFixed(3)}, ` +
        `told apart ${(100 * toldApart).toFixed(1)} %, single values ${values.toFixed(3)}`,
    );
  return both;
}
