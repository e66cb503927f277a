/**
 * The WebAssembly kernel and its memory: one instance per thread, laid out anew by each caller. Source of the loops:
 * libs/audio/kernel/kernel.ts.
 *
 * Does not promise that views outlive a call: memory that grows detaches them, and the next caller writes over it.
 */
import { kernelBase64 } from './kernel-binary.js';

/** What is used of the global that every engine has; TypeScript describes it among the browser's only. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: unknown };
};

export interface Kernel {
  memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  resample(x: number, table: number, up: number, down: number, taps: number, y: number, count: number): void;
  rowPower(
    y: number,
    frames: number,
    hop: number,
    window: number,
    winLength: number,
    half: number,
    twiddles: number,
    split: number,
    work: number,
    group: number,
    rows: number,
    bank: number,
    power: number,
    stride: number,
  ): void;
  /** @param state receives the bit position and the number of samples, as u32, at which it stopped */
  rice(bytes: number, bit: number, samples: number, count: number, parameter: number, state: number): void;
  predict(samples: number, count: number, coefficients: number, order: number, shift: number): void;
  usedBits(samples: number, count: number): number;
  mixOne(samples: number, count: number, scale: number, mono: number): void;
  mixTwo(left: number, right: number, count: number, scale: number, mono: number): void;
  maximum(values: number, count: number): number;
  quantise(power: number, count: number, scale: number, slope: number, pixels: number): void;
}

const PAGE_BYTES = 65_536;
/** An instance that a long file made larger than this is dropped after it: WebAssembly memory never shrinks. */
const KEPT_BYTES = 48 * 1024 * 1024;

let compiled: object | undefined;
let kept: Kernel | undefined;

/** Pointers to parts of the kernel's memory, each aligned to 16 bytes. */
export class KernelMemory {
  #end = 16;

  /** @returns the pointer */
  take(bytes: number): number {
    const at = this.#end;
    this.#end = (at + bytes + 15) & ~15;
    return at;
  }

  get sizeBytes(): number {
    return this.#end;
  }
}

/** The thread's kernel with at least `sizeBytes` of memory, not cleared, until somebody else asks for it. */
export function kernelWith(sizeBytes: number): Kernel {
  const kernel = (kept ??= instantiate());
  const missing = sizeBytes - kernel.memory.buffer.byteLength;
  if (missing > 0) kernel.memory.grow(Math.ceil(missing / PAGE_BYTES));
  if (kernel.memory.buffer.byteLength > KEPT_BYTES) kept = undefined;
  return kernel;
}

function instantiate(): Kernel {
  compiled ??= new WebAssembly.Module(Buffer.from(kernelBase64, 'base64'));
  return new WebAssembly.Instance(compiled, {}).exports as Kernel;
}
