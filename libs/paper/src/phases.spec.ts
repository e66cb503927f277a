import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { chooseBackend } from '#tensor/backend.js';
import { classificationPhase } from './classification-phase.js';
import { jointUpdate } from './joint-update.js';
import { type Model, modelOptimisers, modelParameters, modelStatistics } from './model.js';
import { createPaperModel } from './paper-model.js';
import { reconstructionPhase } from './reconstruction-phase.js';
import { adversarialLoss, discriminatorStep, generatorStep } from './regularisation-phase.js';
import { headLogits, noDropout } from './networks.js';
import type { ModelSettingsInput } from './settings.js';
import { pixelsOf } from './tiles.js';
import { tinyBatch, tinySettings, withoutLabels } from './tiny-model.js';

let model: Model;
beforeAll(async () => void (await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => {} })));
afterEach(() => model.dispose());

/** Runs `act` and names the groups (first part of a parameter's name) in which every parameter, or none, moved. */
function movedGroups(settings: ModelSettingsInput, act: (pixels: tf.Tensor4D, batch: ReturnType<typeof tinyBatch>) => void): string[] {
  model = createPaperModel(tinySettings(settings));
  const batch = tinyBatch(model.settings, 6);
  const watched = [...modelParameters(model), ...modelStatistics(model)];
  const before = watched.map(({ value }) => value.dataSync().slice());
  tf.tidy(() => act(pixelsOf(batch.tiles, batch.count, model.settings.tile), batch));
  const groups = new Map<string, Set<boolean>>();
  watched.forEach(({ name, value }, i) => {
    const group = name.includes('running') ? 'running statistics' : name.split('.')[0]!;
    const moved = value.dataSync().some((weight, j) => weight !== before[i]![j]);
    groups.set(group, (groups.get(group) ?? new Set()).add(moved));
  });
  for (const [group, moved] of groups) expect(moved.size, `all of ${group} moves or none`).toBe(1);
  return [...groups].filter(([, moved]) => moved.has(true)).map(([group]) => group);
}

describe('which weights move', () => {
  test('reconstruction: encoder, decoder and the running statistics', () => {
    const moved = movedGroups({}, (pixels) => void reconstructionPhase(model, pixels));
    expect(moved).toEqual(['encoder', 'decoder', 'running statistics']);
  });

  test('the discriminator step: the discriminator alone', () => {
    const moved = movedGroups({}, () => void discriminatorStep(model, tf.randomNormal([6, 2, 2, 4], 3, 1, 'float32', 1)));
    expect(moved).toEqual(['discriminator']);
  });

  test('the generator step: the encoder alone, the discriminator is frozen', () => {
    const moved = movedGroups({ dropout: 0 }, (pixels) => void generatorStep(model, pixels));
    expect(moved).toEqual(['encoder']);
  });

  test('classification: encoder and heads, no running statistics', () => {
    const moved = movedGroups({ dropout: 0 }, (pixels, batch) => void classificationPhase(model, pixels, batch));
    expect(moved).toEqual(['encoder', 'emotion', 'gender', 'speaker']);
  });

  test('classification of a cnn: the running statistics as well, having no other phase', () => {
    const moved = movedGroups({ dropout: 0, system: 'cnn' }, (pixels, batch) => void classificationPhase(model, pixels, batch));
    expect(moved).toEqual(['encoder', 'emotion', 'gender', 'speaker', 'running statistics']);
  });

  test('the joint update: all but the discriminator', () => {
    const moved = movedGroups({ dropout: 0, update: 'joint' }, (pixels, batch) => void jointUpdate(model, pixels, batch));
    expect(moved).toEqual(['encoder', 'decoder', 'emotion', 'gender', 'speaker', 'running statistics']);
  });

  test('classification without labels: nothing', () => {
    const moved = movedGroups({}, (pixels, batch) => void classificationPhase(model, pixels, withoutLabels(batch)));
    expect(moved).toEqual([]);
  });

  test('a head whose label no tile carries: not that head', () => {
    const moved = movedGroups({ dropout: 0 }, (pixels, batch) => {
      classificationPhase(model, pixels, { ...batch, emotion: withoutLabels(batch).emotion });
    });
    expect(moved).toEqual(['encoder', 'gender', 'speaker']);
  });

  test('beta = 1: neither gender nor speaker', () => {
    const moved = movedGroups({ dropout: 0, beta: 1 }, (pixels, batch) => void classificationPhase(model, pixels, batch));
    expect(moved).toEqual(['encoder', 'emotion']);
  });

  test('alpha = 0: the encoder learns no reconstruction, the decoder does', () => {
    const moved = movedGroups({ alpha: 0 }, (pixels) => void reconstructionPhase(model, pixels));
    expect(moved).toEqual(['decoder', 'running statistics']);
  });

  test('joint at alpha = 0: not the decoder', () => {
    const moved = movedGroups({ dropout: 0, update: 'joint', alpha: 0 }, (pixels, batch) => void jointUpdate(model, pixels, batch));
    expect(moved).toEqual(['encoder', 'emotion', 'gender', 'speaker', 'running statistics']);
  });

  test('joint at beta = 1: neither gender nor speaker', () => {
    const moved = movedGroups({ dropout: 0, update: 'joint', beta: 1 }, (pixels, batch) => void jointUpdate(model, pixels, batch));
    expect(moved).toEqual(['encoder', 'decoder', 'emotion', 'running statistics']);
  });

  test('single-task at alpha = 1: the encoder learns no emotion, the head does', () => {
    const single = { alpha: 1, dropout: 0, auxiliary: { gender: false, speaker: false } };
    const moved = movedGroups(single, (pixels, batch) => void classificationPhase(model, pixels, batch));
    expect(moved).toEqual(['emotion']);
  });
});

describe('a discriminator of places', () => {
  const rows = 2 * 2; // places of the tiny z, [B, 2, 2, 4]
  const logitsOf = (z: tf.Tensor4D): number[] => Array.from(headLogits(model.discriminator!, z, noDropout).dataSync());

  test('answers for each place by itself: another value at one place changes one answer', () => {
    model = createPaperModel(tinySettings({ discriminator: 'places' }));
    tf.tidy(() => {
      const z = tf.randomNormal<tf.Rank.R4>([3, 2, 2, 4], 0, 1, 'float32', 5);
      const values = z.arraySync();
      values[1]![0]![1]![2]! += 3;
      const [before, after] = [logitsOf(z), logitsOf(tf.tensor4d(values))];
      expect(before).toHaveLength(3 * rows);
      expect(before.flatMap((logit, i) => (logit === after[i] ? [] : [i]))).toEqual([1 * rows + 1]);
    });
  });

  test('moves alone in its step, and moves the encoder alone in the generator step', () => {
    expect(movedGroups({ discriminator: 'places' }, () => void discriminatorStep(model, tf.randomNormal([6, 2, 2, 4], 3)))).toEqual([
      'discriminator',
    ]);
    model.dispose();
    expect(movedGroups({ discriminator: 'places', dropout: 0 }, (pixels) => void generatorStep(model, pixels))).toEqual(['encoder']);
  });
});

describe('a limit on the accuracy of the discriminator', () => {
  const settings = { dropout: 0, accuracyLimit: 0.9, regularisation: { discriminatorRate: 1 }, learningRate: 0.05 };

  test('takes the pull on the encoder away as the discriminator grows sure, and none before the limit', () => {
    model = createPaperModel(tinySettings(settings));
    const pullAt = (logit: number, accuracyLimit?: number): number =>
      tf.tidy(() => {
        const gradient = tf.grad((logits) => adversarialLoss(logits as tf.Tensor2D, { ...model.settings, accuracyLimit }));
        return Math.abs(gradient(tf.fill([6, 1], logit)).dataSync()[0]!);
      });
    expect(pullAt(-1, 0.9)).toBeCloseTo(pullAt(-1), 6); // 0.73 of the latents are told apart
    expect(pullAt(-4, 0.9)).toBeLessThan(pullAt(-4) / 4);
    expect(pullAt(-12, 0.9)).toBeLessThan(pullAt(-12) / 1e3);
  });

  test('lets the discriminator rest above it', () => {
    model = createPaperModel(tinySettings(settings));
    tf.tidy(() => {
      const far = tf.fill<tf.Rank.R4>([6, 2, 2, 4], 20);
      for (let step = 0; step < 300; step++) discriminatorStep(model, far);
      const before = model.discriminator!.parameters.map(({ value }) => value.dataSync().slice());
      discriminatorStep(model, far);
      const after = model.discriminator!.parameters.map(({ value }) => value.dataSync());
      const largest = Math.max(...after.flatMap((values, i) => Array.from(values, (value, j) => Math.abs(value - before[i]![j]!))));
      expect(largest).toBeLessThan(1e-6);
    });
  });
});

test("between 0 and 1 alpha shares the encoder's learning rate between reconstruction and, single-task, classification", () => {
  const ratesOf = (changes: ModelSettingsInput) => {
    model = createPaperModel(tinySettings({ alpha: 0.3, learningRate: 0.01, ...changes }));
    return Object.fromEntries(modelOptimisers(model).map(({ name, learningRate }) => [name, Number(learningRate.toPrecision(6))]));
  };
  const phase2 = { 'regularisation.discriminator': 0.01 * 0.05, 'regularisation.encoder': 0.01 * 0.3 };
  expect(ratesOf({ auxiliary: { gender: false, speaker: false } })).toEqual({
    'reconstruction.encoder': 0.003,
    'reconstruction.decoder': 0.01,
    ...phase2,
    'classification.encoder': 0.007,
    'classification.heads': 0.01,
  });
  model.dispose();
  // Eq. (2): multi-task, classification counts in full.
  expect(ratesOf({})).toMatchObject({ 'reconstruction.encoder': 0.003, 'classification.encoder': 0.01 });
});
