/** Runs the files in onnxruntime, where SILERO_DIR has its package (as in CI); without it those tests are skipped, and say so. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { chooseBackend } from '#tensor/backend.js';
import { exportOnnx } from './export-onnx.js';
import { answersOf, exportedSystems, largestDifference, trainedModel } from './exported-systems.fixture.js';

/** What of onnxruntime-web is used here. */
interface Runtime {
  env: { wasm: { numThreads: number } };
  Tensor: new (type: 'float32', values: Float32Array, shape: number[]) => unknown;
  InferenceSession: {
    create(bytes: Uint8Array): Promise<{
      outputNames: readonly string[];
      run(inputs: Record<string, unknown>): Promise<Record<string, { data: Float32Array; dims: readonly number[] }>>;
    }>;
  };
}

const folder = process.env['SILERO_DIR'];
if (!folder) console.log('skipped: what onnxruntime answers. It comes with the package of SILERO_DIR, see docs/configuration.md.');
beforeAll(async () => void (await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => {} })));

test.skipIf(!folder).each(exportedSystems)('%j, run by onnxruntime, answers as the model does', async (settings) => {
  const runtime = createRequire(join(folder as string, 'package.json'))('onnxruntime-web') as Runtime;
  runtime.env.wasm.numThreads = 1;
  const { model, batch } = await trainedModel(settings);
  const session = await runtime.InferenceSession.create(await exportOnnx(model, { run: 'tiny' }));
  const pixels = new runtime.Tensor(
    'float32',
    Float32Array.from(batch.tiles, (value) => value / 255),
    [batch.count, ...model.settings.tile, 1],
  );
  const outputs = await session.run({ pixels });
  const expected = await answersOf(model, batch);
  expect([...session.outputNames]).toEqual(Object.keys(expected));
  for (const [name, values] of Object.entries(expected)) expect(largestDifference(outputs[name]!.data, values), name).toBeLessThan(1e-4);
  model.dispose();
});

test('names the classes and what made it, for people who find the file alone', async () => {
  const { model } = await trainedModel({ system: 'cnn' });
  const text = Buffer.from(await exportOnnx(model, { emotion: 'angry,happy', run: 'tiny' })).toString('latin1');
  for (const word of ['undertone', 'emotion', 'angry,happy', 'encoder.0.kernel']) expect(text).toContain(word);
  model.dispose();
});
