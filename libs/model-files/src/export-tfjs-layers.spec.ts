import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test } from 'vitest';
import { chooseBackend } from '#tensor/backend.js';
import { exportTfjsLayers } from './export-tfjs-layers.js';
import { answersOf, exportedSystems, largestDifference, trainedModel } from './exported-systems.fixture.js';
import { pixelsOf } from '#paper/tiles.js';

beforeAll(async () => void (await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => {} })));

test.each(exportedSystems)('%j, loaded as tfjs loads it, answers as the model does', async (settings) => {
  const { model, batch } = await trainedModel(settings);
  const { numTensors } = tf.memory();
  const files = await exportTfjsLayers(model, { run: 'tiny' });
  expect(tf.memory().numTensors).toBe(numTensors);

  const { modelTopology, weightsManifest, userDefinedMetadata } = JSON.parse(files['model.json'] as string);
  const weightData = (files['weights.bin'] as Uint8Array<ArrayBuffer>).buffer;
  const loaded = await tf.loadLayersModel(tf.io.fromMemory({ modelTopology, weightSpecs: weightsManifest[0].weights, weightData }));
  expect(userDefinedMetadata).toEqual({ run: 'tiny' });
  const outputs = [loaded.predict(pixelsOf(batch.tiles, batch.count, model.settings.tile))].flat();

  const expected = await answersOf(model, batch);
  expect(loaded.outputNames).toEqual(Object.keys(expected));
  for (const [i, [name, values]] of Object.entries(expected).entries())
    expect(largestDifference(outputs[i]!.dataSync(), values), name).toBeLessThan(1e-4);
  loaded.dispose();
  model.dispose();
});
