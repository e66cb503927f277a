import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { chooseBackend } from '#tensor/backend.js';
import { loadModel, saveModel } from './checkpoint.js';
import { growSpeakers } from '#paper/grow-speakers.js';
import type { AnyModel } from '#paper/model.js';
import { createPaperModel } from '#paper/paper-model.js';
import { readSafetensors, writeSafetensors } from './safetensors.js';
import { tinyBatch, tinySettings } from '#paper/tiny-model.js';
import { type StepLosses, type TrainingBatch, trainStep } from '#paper/train-step.js';

const models: AnyModel[] = [];
beforeAll(async () => void (await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => {} })));
afterEach(() => models.splice(0).forEach((model) => model.dispose()));

async function losses(model: AnyModel, batches: TrainingBatch[]): Promise<StepLosses[]> {
  const all: StepLosses[] = [];
  for (const batch of batches) all.push(await trainStep(model, batch));
  return all;
}

function owned(model: AnyModel): AnyModel {
  models.push(model);
  return model;
}

test.each(['phases', 'joint'] as const)('by %s, ten steps equal five, saved and loaded, and five more, bit for bit', async (update) => {
  const settings = tinySettings({ update });
  const batches = Array.from({ length: 10 }, (_, step) => tinyBatch(settings, 3, step));
  const whole = owned(createPaperModel(settings));
  const wholeLosses = await losses(whole, batches);
  const first = owned(createPaperModel(settings));
  for (const batch of batches.slice(0, 5)) await trainStep(first, batch);
  const { manifest, bytes } = await saveModel(first);
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3); // as bytes cut from a larger download lie
  const second = owned(loadModel(JSON.parse(JSON.stringify(manifest)), shifted.subarray(3)));
  expect(await losses(second, batches.slice(5))).toEqual(wholeLosses.slice(5));
  expect(await saveModel(second)).toEqual(await saveModel(whole));
});

test('speakers grown since the start are saved', async () => {
  const model = owned(createPaperModel(tinySettings()));
  growSpeakers(model, 300);
  const saved = await saveModel(model);
  const loaded = owned(loadModel(saved.manifest, saved.bytes));
  expect(loaded.speakerCount).toBe(300);
  expect(await saveModel(loaded)).toEqual(saved);
});

test('what does not fit is refused', async () => {
  const { manifest, bytes } = await saveModel(owned(createPaperModel(tinySettings())));
  const broken = (name: string, manifest: unknown, bytes: Uint8Array, message: RegExp) =>
    expect(() => loadModel(manifest, bytes), name).toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_INVALID', message: expect.stringMatching(message) }),
    );
  broken('cut short', manifest, bytes.subarray(0, -4), /ends after the last byte/);
  broken('cut in its header', manifest, bytes.subarray(0, 200), /before its header/);
  broken('other format', { ...manifest, formatVersion: 1 }, bytes, /format is not version 2/);
  broken('other sizes', { ...manifest, settings: { ...manifest.settings, dense: 9 } }, bytes, /expected/);
  broken('other system', { ...manifest, settings: { ...manifest.settings, system: 'ae' } }, bytes, /tensors where/);
  broken('impossible settings', { ...manifest, settings: { ...manifest.settings, alpha: 7 } }, bytes, /alpha/);
  const renamed = readSafetensors(bytes);
  broken('renamed tensor', manifest, writeSafetensors(renamed.with(0, { ...renamed[0]!, name: 'x' })), /tensor 0 is x/);
  broken('lost step counts', { ...manifest, optimisers: {} }, bytes, /step counts/);
  broken('no manifest', null, bytes, /manifest/);
  const diverged = readSafetensors(bytes);
  diverged[0]!.values[3] = Number.NaN;
  broken('diverged', manifest, writeSafetensors(diverged), /encoder\.0\.kernel holds a number that is not finite/);
});

test('a diverged model is not saved', async () => {
  const model = owned(createPaperModel(tinySettings()));
  const { value } = model.encoder.parameters[0]!;
  tf.tidy(() => value.assign(tf.fill(value.shape, Number.NaN)));
  await expect(saveModel(model)).rejects.toMatchObject({
    code: 'MODEL_DIVERGED',
    message: expect.stringMatching(/encoder\.0\.kernel is not finite/) as string,
  });
});
