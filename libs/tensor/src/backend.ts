/**
 * Picks what computes: native TensorFlow on a GPU, WebGPU, native on the CPU, WebAssembly, plain JavaScript. Each falls
 * back to the next, and what was tried and why it failed comes back, so that a slow run explains itself. Seconds a step at
 * the default sizes, two cores: native 0.7, wasm 60 (single-threaded in Node, and two gradients are ours), cpu far more.
 * Backends are process-wide: choose once, before the first tensor.
 */
import util from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { PipelineError } from '#contracts/pipeline-error.js';
import { registerWasmGradients } from './wasm-gradients.js';
import { provideWebgpu } from './webgpu-device.js';

export const backendNames = ['node-gpu', 'webgpu', 'node', 'wasm', 'cpu'] as const;
type BackendName = (typeof backendNames)[number];
/** Of no use without a GPU: Dawn takes a software driver as well, and would be far slower than native. */
const needGpu: readonly BackendName[] = ['node-gpu', 'webgpu'];

export interface BackendChoice {
  name: BackendName;
  /** One line for the log: why this one. */
  why: string;
  /** What came before it in the order and could not be had. */
  tried: { name: BackendName; error: string }[];
}

export interface BackendOptions {
  /** The value of TF_BACKEND: only this one will do. */
  requested?: string;
  /** The value of WEBGPU_DIR: the folder with the package `webgpu`. */
  webgpuDir?: string;
  /** Whether the machine shows an NVIDIA device; without one node-gpu (1.6 GB of libraries) and webgpu are not tried unasked. */
  hasGpu: boolean;
  log: (message: string) => void;
}

/**
 * Loads the first backend that works and makes it the current one.
 * @throws PipelineError SETTINGS_INVALID for an unknown name, PREREQUISITE_MISSING when the requested one does not load.
 */
export async function chooseBackend({ requested, hasGpu, webgpuDir, log }: BackendOptions): Promise<BackendChoice> {
  if (requested) return await loadRequested(requested, webgpuDir, log);
  const tried: BackendChoice['tried'] = [];
  for (const name of backendNames) {
    if (needGpu.includes(name) && !hasGpu) {
      tried.push({ name, error: 'no NVIDIA device seen' });
      continue;
    }
    try {
      const loaded = await load(name, webgpuDir);
      if (loaded !== name) tried.push({ name, error: 'TensorFlow loaded but sees no GPU it can use' });
      const why = tried.length === 0 ? 'first in the order' : tried.map(({ name, error }) => `${name}: ${error}`).join('; ');
      log(`tensorflow backend ${loaded} (${why})`);
      return { name: loaded, why, tried };
    } catch (error) {
      tried.push({ name, error: firstLine(error) });
    }
  }
  throw new PipelineError(
    'PREREQUISITE_MISSING',
    `no tensorflow backend loads: ${tried.map(({ name, error }) => `${name}: ${error}`).join('; ')}. \`./undertone setup\` fetches what is missing`,
  );
}

async function loadRequested(requested: string, webgpuDir: string | undefined, log: (message: string) => void): Promise<BackendChoice> {
  const name = backendNames.find((candidate) => candidate === requested);
  if (!name) {
    throw new PipelineError(
      'SETTINGS_INVALID',
      `TF_BACKEND=${requested} is no backend: use one of ${backendNames.join(', ')}, or leave it unset`,
    );
  }
  let loaded: BackendName;
  try {
    loaded = await load(name, webgpuDir);
  } catch (cause) {
    throw new PipelineError('PREREQUISITE_MISSING', `TF_BACKEND=${name} does not load: ${firstLine(cause)}. ${remedyOf(name)}`, { cause });
  }
  if (loaded !== name)
    throw new PipelineError('PREREQUISITE_MISSING', `TF_BACKEND=${name}: TensorFlow loaded but sees no GPU it can use. ${remedyOf(name)}`);
  log(`tensorflow backend ${name} (requested)`);
  return { name, why: 'requested by TF_BACKEND', tried: [] };
}

function remedyOf(name: BackendName): string {
  const otherwise = 'or unset TF_BACKEND for the first that loads';
  switch (name) {
    case 'node-gpu':
      return `Run \`./undertone setup --gpu\`, look at \`nvidia-smi\`, ${otherwise}.`;
    case 'node':
      return `Run \`./undertone setup\`, ${otherwise}.`;
    case 'webgpu':
    case 'wasm':
    case 'cpu':
      return `Use another, ${otherwise}.`;
  }
}

/** @returns what was loaded: the GPU package on a machine where CUDA fails computes on the CPU, and is called so. */
async function load(name: BackendName, webgpuDir: string | undefined): Promise<BackendName> {
  switch (name) {
    case 'node-gpu':
      replaceUtilFunctions();
      await import('@tensorflow/tfjs-node-gpu');
      await activate('tensorflow');
      return (tf.backend() as { isUsingGpuDevice?: boolean }).isUsingGpuDevice ? 'node-gpu' : 'node';
    case 'webgpu':
      await provideWebgpu(webgpuDir);
      await import('@tensorflow/tfjs-backend-webgpu');
      await activate('webgpu');
      return name;
    case 'node':
      replaceUtilFunctions();
      await import('@tensorflow/tfjs-node');
      await activate('tensorflow');
      return name;
    case 'wasm':
      await import('@tensorflow/tfjs-backend-wasm');
      await activate('wasm');
      registerWasmGradients();
      return name;
    case 'cpu':
      await activate('cpu');
      (tf.backend() as { firstUse?: boolean }).firstUse = false; // its advice to install tfjs-node has been acted upon
      return name;
  }
}

async function activate(backend: string): Promise<void> {
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs could not start its ${backend} backend`);
  await tf.ready();
}

/** tfjs-node 4.22 calls two util functions that Node 22 warns about and Node 23 dropped (tensorflow/tfjs#8609). */
function replaceUtilFunctions(): void {
  const legacy = util as unknown as Record<string, unknown>;
  legacy['isNullOrUndefined'] = (value: unknown) => value === null || value === undefined;
  legacy['isArray'] = Array.isArray;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}
