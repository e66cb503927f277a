/**
 * Finds speech with Silero VAD (model 6, ONNX). This small recurrent network tells speech from music and noise better than
 * the other detectors, at about twenty times their cost. It takes 16 kHz in windows of 512 samples, each with the 64 samples
 * before it, like its authors' own wrapper. A window is speech if its probability is at least 0.5.
 *
 * Optional, because its runtime has 150 MB. Install it with `npm install --prefix DIR onnxruntime-web@1.30.0
 * @ricky0123/vad-web@0.0.31` and set features' `SILERO_DIR=DIR`, or install both packages here.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PipelineError } from '#contracts/pipeline-error.js';
import { resample } from '../spectrogram/resample.js';
import { FRAMES_PER_SEC, MARGIN_FRAMES, type SpeechDetector, speechRuns } from './trim-silence.js';

const PACKAGES = 'onnxruntime-web@1.30.0 @ricky0123/vad-web@0.0.31';
const MODEL = 'silero_vad_v6.onnx';
const RATE_HZ = 16_000;
const WINDOW = 512;
/** Number of samples before a window that are prepended to it. */
const CONTEXT = 64;
const STATE_SHAPE = [2, 1, 128] as const;
const SPEECH_FROM = 0.5;

/** The used part of onnxruntime, which may not be installed to supply its own types. */
interface Tensor {
  data: Float32Array;
}
interface Session {
  run(inputs: { input: Tensor; state: Tensor; sr: unknown }): Promise<{ output: Tensor; stateN: Tensor }>;
}
interface Runtime {
  env: { logLevel: string; wasm: { numThreads: number } };
  InferenceSession: { create(model: Uint8Array, options: { executionProviders: string[] }): Promise<Session> };
  Tensor: {
    new (type: 'float32', data: Float32Array, dims: readonly number[]): Tensor;
    new (type: 'int64', data: BigInt64Array, dims: readonly number[]): unknown;
  };
}

let loaded: Promise<{ runtime: Runtime; session: Session }> | undefined;

/**
 * @param folder folder with its packages; undefined for this package's own
 * @throws PREREQUISITE_MISSING that says what to install
 */
export async function speechBySilero(folder?: string): Promise<SpeechDetector> {
  await (loaded ??= load(folder));
  return async (samples, sampleRateHz) => {
    const heard = resample(samples, sampleRateHz, RATE_HZ);
    const probabilities = await speechProbabilities(heard, folder);
    const hop = RATE_HZ / FRAMES_PER_SEC;
    const runs = speechRuns(Math.floor(heard.length / hop), (frame) => {
      const middle = Math.floor(((frame + 0.5) * hop) / WINDOW);
      return (probabilities[middle] as number) >= SPEECH_FROM;
    });
    const samplesPerFrame = sampleRateHz / FRAMES_PER_SEC;
    return runs.map(({ start, end }) => ({
      start: Math.max(0, Math.round((start - MARGIN_FRAMES) * samplesPerFrame)),
      end: Math.min(samples.length, Math.round((end + MARGIN_FRAMES) * samplesPerFrame)),
    }));
  };
}

/**
 * @param samples at 16 kHz
 * @returns the probability of each window of 512 samples; the last window is padded with zeros
 */
export async function speechProbabilities(samples: Float32Array, folder?: string): Promise<Float32Array> {
  const { runtime, session } = await (loaded ??= load(folder));
  const sr = new runtime.Tensor('int64', BigInt64Array.of(BigInt(RATE_HZ)), []);
  let state = new runtime.Tensor('float32', new Float32Array(2 * 128), STATE_SHAPE);
  const probabilities = new Float32Array(Math.ceil(samples.length / WINDOW));
  const input = new Float32Array(CONTEXT + WINDOW);
  for (let window = 0; window < probabilities.length; window++) {
    const from = window * WINDOW - CONTEXT;
    input.fill(0);
    input.set(samples.subarray(Math.max(0, from), from + input.length), Math.max(0, -from));
    const heard = await session.run({ input: new runtime.Tensor('float32', input, [1, input.length]), state, sr });
    state = heard.stateN;
    probabilities[window] = heard.output.data[0] as number;
  }
  return probabilities;
}

async function load(folder?: string): Promise<{ runtime: Runtime; session: Session }> {
  const require = createRequire(folder ? join(folder, 'package.json') : import.meta.url);
  let paths;
  try {
    paths = { runtime: require.resolve('onnxruntime-web'), model: join(dirname(require.resolve('@ricky0123/vad-web')), MODEL) };
  } catch (cause) {
    const where = folder ? `${folder} has none` : 'then set SILERO_DIR=DIR';
    throw new PipelineError(
      'PREREQUISITE_MISSING',
      `The silence method silero needs two packages. Run npm install --prefix DIR ${PACKAGES}; ${where}`,
      { cause },
    );
  }
  const imported = (await import(pathToFileURL(paths.runtime).href)) as { default?: Runtime } & Runtime;
  const runtime = imported.default ?? imported;
  runtime.env.logLevel = 'error';
  runtime.env.wasm.numThreads = 1; // the pool of workers has the threads
  return { runtime, session: await runtime.InferenceSession.create(readFileSync(paths.model), { executionProviders: ['wasm'] }) };
}
