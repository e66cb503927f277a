/**
 * WebGPU in Node, for GPUs that TensorFlow's CUDA build does not know: Dawn, from the npm package `webgpu`. Its binaries
 * are 130 MB, so it is not installed with the others; whoever wants it names the folder that has it.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PipelineError } from '#contracts/pipeline-error.js';

const PACKAGE = 'webgpu@0.6.2';

interface Dawn {
  create(flags: string[]): { requestAdapter(): Promise<{ info: { vendor: string; description: string } } | null> };
  globals: object;
}

/**
 * Puts `navigator.gpu` where tfjs looks for it. Dawn ends with the process.
 * @returns the adapter, in words
 * @throws PipelineError PREREQUISITE_MISSING without the package, or without a driver that Dawn takes
 */
export async function provideWebgpu(folder: string | undefined): Promise<string> {
  const dawn = await loadDawn(folder);
  return (provided ??= provide(dawn));
}

/** Once for a process: two instances of Dawn in one end it. */
let provided: Promise<string> | undefined;

async function provide({ create, globals }: Dawn): Promise<string> {
  Object.assign(globalThis, globals);
  const gpu = create([]);
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new PipelineError('PREREQUISITE_MISSING', 'Dawn finds no GPU: is a Vulkan driver installed (vulkaninfo shows it)?');
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
  return `${adapter.info.vendor} ${adapter.info.description}`.trim();
}

async function loadDawn(folder: string | undefined): Promise<Dawn> {
  const require = createRequire(folder ? join(folder, 'package.json') : import.meta.url);
  try {
    return (await import(pathToFileURL(require.resolve('webgpu')).href)) as Dawn;
  } catch (cause) {
    const where = folder ? `${folder} has none` : 'name its folder by WEBGPU_DIR';
    throw new PipelineError('PREREQUISITE_MISSING', `webgpu needs a package: npm install --prefix DIR ${PACKAGE}; ${where}`, { cause });
  }
}
