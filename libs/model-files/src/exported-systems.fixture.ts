/** For the specs of both exports: models of all kinds that have learnt a little, and what they answer, by output. */
import { fitRowScale } from '#paper/input-scale.js';
import type { Model } from '#paper/model.js';
import { createPaperModel } from '#paper/paper-model.js';
import { encode, predict, reconstruct } from '#paper/predict.js';
import type { ModelSettingsInput } from '#paper/settings.js';
import { tinyBatch, tinySettings } from '#paper/tiny-model.js';
import { trainStep, type TrainingBatch } from '#paper/train-step.js';

export const exportedSystems: ModelSettingsInput[] = [
  { system: 'aae' },
  { system: 'ae', latent: 'relu', kernel: 4, target: 'clusters-5' },
  { system: 'cnn', auxiliary: { gender: false, speaker: false } },
  { system: 'aae', input: { standardise: 'rows' }, discriminator: 'places' },
];

/** The caller disposes the model. */
export async function trainedModel(settings: ModelSettingsInput): Promise<{ model: Model; batch: TrainingBatch }> {
  const model = createPaperModel(tinySettings(settings));
  const batch = tinyBatch(model.settings, 5);
  fitRowScale(model, [batch]);
  for (let step = 0; step < 5; step++) await trainStep(model, batch); // statistics and biases are no longer 0 and 1
  return { model, batch };
}

/** In the order of the exports' outputs. */
export async function answersOf(model: Model, { tiles, count }: TrainingBatch): Promise<Record<string, Float32Array>> {
  const { emotion, gender, speaker } = await predict(model, tiles, count);
  return {
    emotion,
    ...(gender && { gender }),
    ...(speaker && { speaker }),
    z: await encode(model, tiles, count),
    ...(model.decoder && { reconstruction: await reconstruct(model, tiles, count) }),
  };
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return Array.from(a).reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i]!)), 0);
}
