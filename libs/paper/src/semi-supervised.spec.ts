/**
 * What the paper is about, on made data: with few labelled and many unlabelled speakers, the multi-task adversarial
 * autoencoder knows the emotion of speakers it never heard better than a CNN that has the labelled ones alone. The CNN
 * gets more than twice the steps; with fewer it is worse (52 % after 100, 56 % after 200).
 *
 * Two controls take parts away, to tell where the gain comes from: the same without phase 2, and a CNN with the auxiliary
 * tasks and the unlabelled tiles. `UNDERTONE_MEASURE=1` runs them; docs/experiments.md has what came of it.
 */
import { beforeAll, expect, test } from 'vitest';
import { chooseBackend } from '#tensor/backend.js';
import { reestimateBatchNorm } from './batch-norm-statistics.js';
import { allOf, drawBatch, makeSpeakers, speak, VOICE_EMOTIONS, VOICE_TILE } from './made-voices.fixture.js';
import { createModel } from './model.js';
import { predict } from './predict.js';
import { SeededRandom } from '#tensor/random.js';
import { type ModelSettingsInput, parseModelSettings } from './settings.js';
import { trainStep, type TrainingBatch } from './train-step.js';

const LABELLED = 6;
const UNLABELLED = 40;
const HELD_OUT = 30;
const SEEDS = [1, 2, 3, 4, 5];
/** Student's t for 95 % and four degrees of freedom. */
const T_OF_FIVE = 2.776;

interface Contender {
  settings: ModelSettingsInput;
  steps: number;
  /** Of each batch; labelled ones are 16. */
  unlabelled: number;
}

const multiTask: ModelSettingsInput = { update: 'joint', beta: 0.8, speakerLoss: 'perLogK' };

const contenders: Record<'aae' | 'cnn', Contender> = {
  // The speaker loss of 46 speakers would drown emotion's.
  aae: { settings: multiTask, steps: 160, unlabelled: 16 },
  cnn: { settings: { system: 'cnn', auxiliary: { gender: false, speaker: false } }, steps: 400, unlabelled: 0 },
};

const controls: Record<string, Contender> = {
  'ae multi-task': { settings: { ...multiTask, system: 'ae' }, steps: 160, unlabelled: 16 },
  'cnn multi-task': { settings: { ...multiTask, system: 'cnn' }, steps: 160, unlabelled: 16 },
};

beforeAll(async () => void (await chooseBackend({ requested: 'node', hasGpu: false, log: () => {} })));

test('few labelled, many unlabelled speakers: aae multi-task is at least as good as cnn single-task', async () => {
  const gains: number[] = [];
  for (const seed of SEEDS) {
    const [aae, cnn] = [await heldOutUa(contenders.aae, seed), await heldOutUa(contenders.cnn, seed)];
    console.log(`seed ${seed}: UA of aae multi-task ${percent(aae)}, of cnn single-task ${percent(cnn)}`);
    gains.push(aae - cnn);
  }
  const mean = gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
  const deviation = Math.sqrt(gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0) / (gains.length - 1));
  const half = (T_OF_FIVE * deviation) / Math.sqrt(gains.length);
  console.log(`aae gains ${percent(mean)} points, 95 % interval ${percent(mean - half)} to ${percent(mean + half)}`);
  expect(mean).toBeGreaterThanOrEqual(0);
}, 300_000);

test.skipIf(!process.env['UNDERTONE_MEASURE']).each(Object.keys(controls))(
  'a control is printed: %s',
  async (name) => {
    const found: number[] = [];
    for (const seed of SEEDS) found.push(await heldOutUa(controls[name] as Contender, seed));
    const mean = found.reduce((sum, ua) => sum + ua, 0) / found.length;
    console.log(`${name}: UA ${found.map(percent).join(', ')}, mean ${percent(mean)}`);
    expect(mean).toBeGreaterThan(1 / VOICE_EMOTIONS);
  },
  300_000,
);

/** Data, weights and draws all follow from the seed. */
async function heldOutUa({ settings, steps, unlabelled }: Contender, seed: number): Promise<number> {
  const random = SeededRandom.fromSeed(1000 + seed);
  const speakers = makeSpeakers(LABELLED + UNLABELLED + HELD_OUT, random);
  const known = { voices: speak(speakers.slice(0, LABELLED), { takes: 1, labelled: true }, random), count: 16 };
  const unknown = { voices: speak(speakers.slice(LABELLED, -HELD_OUT), { takes: 6, labelled: false }, random), count: unlabelled };
  const heldOut = speak(speakers.slice(-HELD_OUT), { takes: 4, labelled: true }, random);
  const sizes = {
    tile: VOICE_TILE,
    filters: [8, 16, 16],
    pools: [
      [2, 2],
      [2, 2],
      [1, 1],
    ] as [number, number][],
    dense: 32,
    headFilters: 16,
  };
  const model = createModel(parseModelSettings({ ...sizes, seed, tasks: { speakers: LABELLED + UNLABELLED }, ...settings }));
  const draws = SeededRandom.fromSeed(77 + seed);
  for (let step = 0; step < steps; step++) await trainStep(model, drawBatch([known, unknown], draws));
  await reestimateBatchNorm(
    model,
    Array.from({ length: 8 }, () => drawBatch([known, unknown], draws)),
  );
  const test = allOf(heldOut);
  const { emotion } = await predict(model, test.tiles, test.count);
  model.dispose();
  return unweightedAccuracy(test, emotion);
}

/** Mean recall; every class occurs. */
function unweightedAccuracy({ emotion, count }: TrainingBatch, probabilities: Float32Array): number {
  const recalls = Array.from({ length: VOICE_EMOTIONS }, (_, truth) => {
    const own = Array.from({ length: count }, (_unused, tile) => tile).filter((tile) => emotion[tile] === truth);
    const right = own.filter((tile) => {
      const row = probabilities.subarray(tile * VOICE_EMOTIONS, (tile + 1) * VOICE_EMOTIONS);
      return row.indexOf(Math.max(...row)) === truth;
    });
    return right.length / own.length;
  });
  return recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length;
}

const percent = (share: number): string => (100 * share).toFixed(1);
