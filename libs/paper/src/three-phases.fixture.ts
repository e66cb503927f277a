/**
 * The cases in which our three-phase step is held against PyTorch's (test/golden/model): small nets on the plain backend,
 * without dropout, the same prior samples on both sides. Everything comes from seeds and a formula, so that the exporter
 * and the spec see the same numbers.
 */
import * as tf from '@tensorflow/tfjs';
import type { Adam } from './adam.js';
import { type Model, modelOptimisers } from './model.js';
import { createPaperModel } from './paper-model.js';
import { SeededRandom } from '#tensor/random.js';
import type { ModelSettingsInput } from './settings.js';
import { tinyBatch, tinySettings } from './tiny-model.js';
import { type StepLosses, type TrainingBatch, trainStep } from './train-step.js';

export const cases: Record<string, ModelSettingsInput> = {
  'aae, multi-task': {},
  'aae, single-task': { auxiliary: { gender: false, speaker: false } },
  'aae, rectified latents': { latent: 'relu', speakerLoss: 'perLogK' },
  'aae, joint': { update: 'joint' },
  'aae, eq. 5 as printed, smoothed labels': { regularisation: { generatorLoss: 'literal' }, labelSmoothing: 0.1 },
  'ae, multi-task': { system: 'ae' },
  'cnn, gender': { system: 'cnn', auxiliary: { gender: true, speaker: false } },
};

export const SGD_STEPS = 5;
export const ADAM_STEPS = 10;
/** Of plain gradient descent: large enough to move, small enough to stay. */
export const SGD_RATE = 0.05;

/** A third of the tiles is unlabelled, one knows its speaker alone. */
export function caseBatch(model: Model): TrainingBatch {
  const batch = tinyBatch(model.settings, 9);
  for (const tile of [1, 4, 7]) batch.emotion[tile] = batch.gender[tile] = batch.speaker[tile] = -1;
  batch.emotion[2] = batch.gender[2] = -1;
  return batch;
}

/** Prior sample number `index` of draw `draw`: no normal, but the same in every language. */
export const priorValue = (draw: number, index: number): number => Math.fround(1.3 * Math.sin(0.7 * index + 1.1 * draw * draw + 0.3));

/** A model whose prior samples follow `priorValue`. */
export function caseModel(changes: ModelSettingsInput): Model {
  const model = createPaperModel(tinySettings({ ...changes, dropout: 0 }));
  let draw = 0;
  model.random = Object.assign(SeededRandom.fromSeed(1), {
    normal: (shape: number[]) => {
      const number = draw++;
      return tf.tensor(
        Float32Array.from({ length: tf.util.sizeFromShape(shape) }, (_, index) => priorValue(number, index)),
        shape,
      );
    },
  });
  return model;
}

export interface CaseRun {
  losses: StepLosses[];
  /** Of the first step, by optimiser and parameter: `joint/encoder.0.kernel`. */
  gradients: Map<string, Float32Array>;
}

/** Runs the steps, and disposes nothing. @param rule `sgd` puts plain descent in every optimiser's place */
export async function runCase(model: Model, steps: number, rule: 'sgd' | 'adam'): Promise<CaseRun> {
  const first = new Map<string, tf.Tensor>();
  for (const optimiser of modelOptimisers(model)) record(optimiser, first, rule);
  const batch = caseBatch(model);
  const losses: StepLosses[] = [];
  for (let step = 0; step < steps; step++) losses.push(await trainStep(model, batch));
  const gradients = new Map<string, Float32Array>();
  for (const [name, gradient] of first) gradients.set(name, await gradient.data<'float32'>());
  tf.dispose([...first.values()]);
  return { losses, gradients };
}

function record(optimiser: Adam, gradients: Map<string, tf.Tensor>, rule: 'sgd' | 'adam'): void {
  const adam = optimiser.apply.bind(optimiser);
  optimiser.apply = (given) => {
    optimiser.slots.forEach(({ parameter }, i) => {
      const gradient = given[i];
      if (!gradient) return;
      const name = `${optimiser.name}/${parameter.name}`;
      if (!gradients.has(name)) gradients.set(name, tf.keep(gradient.clone()));
      if (rule === 'sgd') tf.tidy(() => parameter.value.assign(tf.sub(parameter.value, tf.mul(gradient, SGD_RATE))));
    });
    if (rule === 'adam') adam(given);
  };
}
