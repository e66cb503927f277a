/**
 * The WebAssembly kernel and its memory: one instance per thread. Each caller lays out the memory again. Source of the
 * loops: libs/audio/kernel/kernel.ts.
 *
 * Views do not survive a call: growing the memory detaches them, and the next caller overwrites it.
 */
import { kernelBase64 } from './kernel-binary.js';

/** The used part of a global that every engine has. TypeScript declares it for browsers only. */
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
  /** @param state receives where it stopped, as u32: bit position, then number of samples */
  rice(bytes: number, bit: number, samples: number, count: number, parameter: number, state: number): void;
  predict(samples: number, count: number, coefficients: number, order: number, shift: number): void;
  usedBits(samples: number, count: number): number;
  mixOne(samples: number, count: number, scale: number, mono: number): void;
  mixTwo(left: number, right: number, count: number, scale: number, mono: number): void;
  maximum(values: number, count: number): number;
  quantise(power: number, count: number, scale: number, slope: number, pixels: number): void;
}

const PAGE_BYTES = 65_536;
/** An instance that a long file made larger than this is dropped afterwards, because WebAssembly memory never shrinks. */
const KEPT_BYTES = 8 * 1024 * 1024;

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

/** The thread's kernel with at least `sizeBytes` of memory, not cleared. It is the caller's until the next call of this function. */
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
