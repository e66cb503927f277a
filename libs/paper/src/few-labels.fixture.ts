/**
 * For semi-supervised.slow.spec.ts and `npm run bench -- controls`: the UA that a network reaches on made voices it never heard,
 * when few of the others carry an emotion.
 */
import { reestimateBatchNorm } from './batch-norm-statistics.js';
import { allOf, drawBatch, makeSpeakers, speak, VOICE_EMOTIONS, VOICE_TILE } from './made-voices.fixture.js';
import { createPaperModel } from './paper-model.js';
import { predict } from './predict.js';
import { SeededRandom } from '#tensor/random.js';
import { type ModelSettingsInput, parseModelSettings } from './settings.js';
import { trainStep, type TrainingBatch } from './train-step.js';

const LABELLED = 6;
const UNLABELLED = 40;
const HELD_OUT = 30;

export interface Contender {
  settings: ModelSettingsInput;
  steps: number;
  /** Unlabelled tiles of each batch. Labelled ones are 16. */
  unlabelled: number;
}

// The speaker loss of 46 speakers would drown emotion's.
const multiTask: ModelSettingsInput = { update: 'joint', beta: 0.8, speakerLoss: 'perLogK' };

export const contenders: Record<'aae' | 'cnn', Contender> = {
  aae: { settings: multiTask, steps: 160, unlabelled: 16 },
  cnn: { settings: { system: 'cnn', auxiliary: { gender: false, speaker: false } }, steps: 400, unlabelled: 0 },
};

/** Each takes one part away, to tell where the gain comes from. */
export const controls: Record<string, Contender> = {
  'ae multi-task': { settings: { ...multiTask, system: 'ae' }, steps: 160, unlabelled: 16 },
  'cnn multi-task': { settings: { ...multiTask, system: 'cnn' }, steps: 160, unlabelled: 16 },
};

/** Data, weights and draws all follow from the seed. */
export async function heldOutUa({ settings, steps, unlabelled }: Contender, seed: number): Promise<number> {
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
  const model = createPaperModel(parseModelSettings({ ...sizes, seed, tasks: { speakers: LABELLED + UNLABELLED }, ...settings }));
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
