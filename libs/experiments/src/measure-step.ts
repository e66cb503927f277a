/** Times a training step on this machine with tiles of noise, to estimate an experiment's time before it starts. */
import { createModel } from '#baselines/create-model.js';
import { seededRandom } from '#evaluation/seeded-random.js';
import type { ModelSettings } from '#paper/settings.js';
import { trainStep } from '#paper/train-step.js';
import type { RunSettings } from '#rounds/run-settings.js';

export interface MeasuredModel {
  model: ModelSettings;
  batch: RunSettings['batch'];
  /** Steps on emotion; for a progressive network, the steps of its second column. */
  steps: number;
}

/** The first step is slower, because it creates kernels and buffers that later steps reuse. */
const warmUpSteps = 1;
const measuredSteps = 2;

/** @returns seconds per step; for a progressive network, the mean over the steps of both columns */
export async function measureStep({ model, batch, steps }: MeasuredModel): Promise<number> {
  if (!model.progressive) return measured(model, batch);
  const { sourceSteps } = model.progressive;
  const withSteps = (given: number): ModelSettings => ({ ...model, progressive: { ...model.progressive!, sourceSteps: given } });
  const source = await measured(withSteps(Infinity), batch);
  const target = await measured(withSteps(1), batch, 1 + warmUpSteps);
  return (sourceSteps * source + steps * target) / (sourceSteps + steps);
}

async function measured(settings: ModelSettings, batch: RunSettings['batch'], warmUp = warmUpSteps): Promise<number> {
  const model = createModel({ ...settings, tasks: { ...settings.tasks, speakers: 1 } });
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
    speaker: labels(1, count),
  };
  let startedAt = performance.now();
  for (let step = 0; step < warmUp + measuredSteps; step++) {
    if (step === warmUp) startedAt = performance.now();
    await trainStep(model, made);
  }
  const seconds = (performance.now() - startedAt) / 1000 / measuredSteps;
  model.dispose();
  return seconds;
}
