/** Loads an exported model over HTTP with plain tfjs in a browser, and compares its answers with those of the model. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { chooseBackend } from '#tensor/backend.js';
import { exportTfjsLayers } from '#model-files/export-tfjs-layers.js';
import { answersOf, largestDifference, trainedModel } from '#model-files/exported-systems.fixture.js';
import { browserIsSkipped, launchChromium } from './launch-chromium.js';

const tfjs = createRequire(import.meta.url).resolve('@tensorflow/tfjs/dist/tf.min.js');
const types: Record<string, string> = { html: 'text/html', js: 'text/javascript', json: 'application/json' };

it.skipIf(browserIsSkipped)('answers in a browser as the model does', async () => {
  await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => undefined });
  const { model, batch } = await trainedModel({ system: 'aae' });
  const files: Record<string, string | Uint8Array> = {
    ...(await exportTfjsLayers(model, {})),
    'index.html': '<!doctype html><script src="tf.js"></script>',
    'tf.js': readFileSync(tfjs),
  };
  const server = createServer(({ url = '' }, response) => {
    const name = url === '/' ? 'index.html' : url.slice(1);
    response.writeHead(files[name] ? 200 : 404, { 'content-type': types[name.split('.').at(-1) ?? ''] ?? 'application/octet-stream' });
    response.end(files[name]);
  }).listen(0, '127.0.0.1');
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const pixels = Array.from(batch.tiles, (value) => value / 255);
    const shape = [batch.count, ...model.settings.tile, 1];
    const answers = await page.evaluate(answersInPage, { pixels, shape });
    const expected = await answersOf(model, batch);
    expect(Object.keys(answers)).toEqual(Object.keys(expected));
    for (const [name, values] of Object.entries(expected)) expect(largestDifference(answers[name] ?? [], values), name).toBeLessThan(1e-4);
  } finally {
    await browser.close();
    server.close();
    model.dispose();
  }
});

/** Runs in the page, where its script defines `tf`. */
async function answersInPage({ pixels, shape }: { pixels: number[]; shape: number[] }): Promise<Record<string, number[]>> {
  const { tf } = globalThis as unknown as { tf: typeof import('@tensorflow/tfjs') };
  const model = await tf.loadLayersModel('model.json');
  const outputs = [model.predict(tf.tensor(pixels, shape))].flat();
  return Object.fromEntries(model.outputNames.map((name, i) => [name, Array.from(outputs[i]!.dataSync())]));
}
