/** How long a step takes here, on tiles of noise: for an estimate before hours are spent. */
import { createModel } from '#model/model.js';
import { seededRandom } from '#scoring/bootstrap.js';
import type { ModelSettings } from '#model/settings.js';
import { trainStep } from '#model/train-step.js';
import type { RunSettings } from '#training/run-settings.js';

/** The first step makes what later ones use again. */
const warmUpSteps = 1;
const measuredSteps = 2;

/** @returns seconds a step */
export async function measureStep({ model: settings, batch }: { model: ModelSettings; batch: RunSettings['batch'] }): Promise<number> {
  const model = createModel(settings);
  const count = batch.labelled + batch.unlabelled;
  const random = seededRandom(1);
  const tiles = Uint8Array.from({ length: count * settings.tile[0] * settings.tile[1] }, () => random() * 256);
  const labels = (classes: number, known: number): Int32Array =>
    Int32Array.from({ length: count }, (_, at) => (at < known ? at % classes : -1));
  const made = {
    tiles,
    count,
    emotion: labels(settings.tasks.emotion.length, batch.labelled),
    gender: labels(2, count),
    speaker: labels(1, model.speakerCount > 0 ? count : 0),
  };
  let startedAt = performance.now();
  for (let step = 0; step < warmUpSteps + measuredSteps; step++) {
    if (step === warmUpSteps) startedAt = performance.now();
    await trainStep(model, made);
  }
  const seconds = (performance.now() - startedAt) / 1000 / measuredSteps;
  model.dispose();
  return seconds;
}
