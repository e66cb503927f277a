/** For tests: a model small enough to train on the plain `cpu` backend in milliseconds, and batches for it. */
import { SeededRandom } from '#tensor/random.js';
import { type ModelSettings, type ModelSettingsInput, parseModelSettings } from './settings.js';
import type { TrainingBatch } from './train-step.js';

/** Tiles of 8 x 16, z of 2 x 2 x 4. */
export function tinySettings(changes: ModelSettingsInput = {}): ModelSettings {
  const pools: ModelSettingsInput['pools'] = [
    [2, 2],
    [2, 4],
    [1, 1],
  ];
  const sizes = { tile: [8, 16] as [number, number], filters: [2, 3, 4], pools, dense: 8, headFilters: 3 };
  return parseModelSettings({ ...sizes, ...changes, tasks: { speakers: 5, ...changes.tasks } });
}

/** Every tile carries all labels; class decides where the bright patch lies, so that there is something to learn. */
export function tinyBatch(settings: ModelSettings, count: number, seed = 7): TrainingBatch {
  const [rows, frames] = settings.tile;
  const random = SeededRandom.fromSeed(seed);
  const tiles = Uint8Array.from({ length: count * rows * frames }, () => Math.floor(random.uniform() * 60));
  const draw = (classes: number) => Int32Array.from({ length: count }, () => Math.floor(random.uniform() * classes));
  const emotion = draw(settings.tasks.emotion.length);
  const gender = draw(settings.tasks.gender.length);
  const speaker = draw(Math.max(1, settings.tasks.speakers));
  for (let tile = 0; tile < count; tile++) {
    const firstRow = Math.floor((emotion[tile]! * rows) / settings.tasks.emotion.length);
    const firstFrame = Math.floor((gender[tile]! * frames) / settings.tasks.gender.length);
    const lastRow = firstRow + rows / 4;
    const lastFrame = firstFrame + frames / 2;
    for (let row = firstRow; row < lastRow; row++) {
      const start = (tile * rows + row) * frames;
      for (let pixel = start + firstFrame; pixel < start + lastFrame; pixel++) tiles[pixel]! += 150 + 8 * speaker[tile]!;
    }
  }
  return { tiles, count, emotion, gender, speaker };
}

export function withoutLabels(batch: TrainingBatch): TrainingBatch {
  const none = new Int32Array(batch.count).fill(-1);
  return { ...batch, emotion: none, gender: none, speaker: none };
}
