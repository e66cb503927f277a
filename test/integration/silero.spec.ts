/** Silero is optional: features fails at start if it is missing, and cuts silence with it if it is installed. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { decodeWav } from '#audio/decode/decode-wav.js';
import { encodeWav } from '#audio/decode/encode-wav.js';
import { corpusKey } from '#contracts/object-keys.js';
import { packageRoot } from '#service/package-root.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
afterEach(async () => pipeline.close());

it('stops features at start with instructions if Silero is not installed', async () => {
  const empty = mkdtempSync(join(tmpdir(), 'undertone-silero-'));
  pipeline = new RunningPipeline({ SILENCE_METHOD: 'silero', SILERO_DIR: empty });
  await pipeline.prepare();
  pipeline.start('features');
  await expect.poll(() => pipeline.hasExited('features'), { timeout: 20_000 }).toBe(true);
  expect(pipeline.logOf('features')).toMatch(/PREREQUISITE_MISSING.*npm install --prefix DIR onnxruntime-web/s);
  rmSync(empty, { recursive: true });
});

it.skipIf(!process.env['SILERO_DIR'])('cuts the silence around speech', async () => {
  pipeline = new RunningPipeline({ SILENCE_METHOD: 'silero' });
  await pipeline.prepare();
  const speech = decodeWav(readFileSync(join(packageRoot, 'test/golden/audio/speech-16000.wav')), {
    maxDurationSec: 60,
    decoder: '',
  }).samples;
  const around = new Float32Array(speech.length + 32_000);
  around.set(speech, 16_000);
  await pipeline.store.put(corpusKey('calls', 'corpus.json'), JSON.stringify({ silence: 'ends' }));
  await pipeline.store.put(corpusKey('calls', 'a.wav'), encodeWav([around], { sampleRateHz: 16_000 }));
  pipeline.start('ingest', 'features');
  await pipeline.until('its tiles', () => pipeline.overview.reconcile().inShards === 1);
  const [, cutSec = ''] = /"leadingSec":([\d.]+)/.exec(pipeline.logOf('features')) ?? [];
  expect(Math.abs(Number(cutSec) - 1)).toBeLessThan(0.2);
});
