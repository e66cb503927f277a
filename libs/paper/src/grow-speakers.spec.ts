import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { chooseBackend } from '#tensor/backend.js';
import { growSpeakers } from './grow-speakers.js';
import type { Model } from './model.js';
import { createPaperModel } from './paper-model.js';
import { headLogits, noDropout } from './networks.js';
import { predict } from './predict.js';
import { tinyBatch, tinySettings } from './tiny-model.js';
import { trainStep } from './train-step.js';

let model: Model;
beforeAll(async () => void (await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => {} })));
afterEach(() => model.dispose());

test.each(['phases', 'joint'] as const)(
  'by %s, old speakers keep their logits and optimiser slots, new ones can be learnt',
  async (update) => {
    model = createPaperModel(tinySettings({ update }));
    const batch = tinyBatch(model.settings, 4);
    await trainStep(model, batch);
    const z = tf.randomNormal<tf.Rank.R4>([2, 2, 2, 4], 0, 1, 'float32', 1);
    const oldLogits = () => tf.tidy(() => tf.slice2d(headLogits(model.heads.speaker!, z, noDropout), [0, 0], [-1, 256]).dataSync());
    const { kernel } = model.heads.speaker!.layers.output;
    const optimiser = model.optimisers.joint ?? model.optimisers.classificationHeads!;
    const slot = optimiser.slots.find(({ parameter }) => parameter === kernel)!;
    const oldMoments = () => tf.tidy(() => tf.slice(slot.moment1, [0, 0], [-1, 256]).dataSync());
    const before = { logits: oldLogits(), moments: oldMoments() };
    growSpeakers(model, 300);
    expect({ logits: oldLogits(), moments: oldMoments() }).toEqual(before);
    expect(kernel.value.shape).toEqual([8, 512]);
    const { numTensors } = tf.memory();
    expect((await trainStep(model, { ...batch, speaker: Int32Array.from([299, 3, -1, 256]) })).speaker).toBeGreaterThan(0);
    expect(tf.memory().numTensors).toBe(numTensors);
    z.dispose();
  },
);

test('units without a speaker take no probability, within a block as well', async () => {
  model = createPaperModel(tinySettings());
  const batch = tinyBatch(model.settings, 2);
  const sums = async (speakers: number) => {
    const { speaker } = await predict(model, batch.tiles, 2);
    expect(speaker).toHaveLength(2 * speakers);
    return speaker!.subarray(0, speakers).reduce((sum, share) => sum + share, 0);
  };
  expect(await sums(5)).toBeCloseTo(1, 5);
  growSpeakers(model, 9);
  expect(await sums(9)).toBeCloseTo(1, 5);
});

test('a head that knows nobody trains on unlabelled speakers and predicts nobody', async () => {
  model = createPaperModel(tinySettings({ tasks: { speakers: 0 } }));
  const batch = tinyBatch(model.settings, 2);
  expect((await trainStep(model, { ...batch, speaker: batch.speaker.fill(-1) })).speaker).toBeNull();
  expect((await predict(model, batch.tiles, 2)).speaker).toHaveLength(0);
});

test('the head never shrinks', () => {
  model = createPaperModel(tinySettings());
  expect(() => growSpeakers(model, 4)).toThrow(/never shrinks/);
});
