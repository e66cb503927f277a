/**
 * Tables for the kernel's Fourier transform of real frames (the STFT of the paper's Section IV-B). It packs N samples into
 * N/2 complex numbers, runs radix-4 with decimation in frequency and a last stage of 8 or 4, then splits into real bins.
 *
 * Math.cos and Math.sin give the values, rounded to floats. The rounding hides how an engine rounds the last bit of a double.
 */
import { hamming } from './hamming.js';

export interface FourierTables {
  /** [winLength, padded with zeros to a multiple of four] */
  window: Float32Array;
  /** For each radix-4 stage and butterfly: cos, sin of w, w^2, w^3. */
  twiddles: Float32Array;
  /** [N/4 + 1, 4]: byte offsets of frequencies k and N/2 - k among complex vectors of four frames; cos, sin of k. */
  split: Uint32Array;
}

const COMPLEX_VECTOR_BYTES = 32;
/** Blocks of this size and below are transformed at once, without twiddles and with outputs in order. */
const LAST_BLOCK = 8;

let latest: { key: string; tables: FourierTables } | undefined;

/** @param fftSize a power of two from 16 on */
export function fourierTables(fftSize: number, winLength: number): FourierTables {
  const key = `${fftSize}:${winLength}`;
  if (latest?.key !== key) latest = { key, tables: makeTables(fftSize, winLength) };
  return latest.tables;
}

function makeTables(fftSize: number, winLength: number): FourierTables {
  const window = new Float32Array(4 * Math.ceil(winLength / 4));
  window.set(hamming(winLength));
  return { window, twiddles: stageTwiddles(fftSize / 2), split: splitTable(fftSize) };
}

function stageTwiddles(half: number): Float32Array {
  const values: number[] = [];
  for (let block = half; block > LAST_BLOCK; block >>= 2) {
    for (let n = 0; n < block / 4; n++) {
      for (let power = 1; power <= 3; power++) {
        const angle = (-2 * Math.PI * n * power) / block;
        values.push(Math.cos(angle), Math.sin(angle));
      }
    }
  }
  return Float32Array.from(values);
}

function splitTable(fftSize: number): Uint32Array {
  const half = fftSize / 2;
  const table = new Uint32Array(4 * (half / 2 + 1));
  const floats = new Float32Array(table.buffer);
  for (let k = 0; k <= half / 2; k++) {
    table[4 * k] = COMPLEX_VECTOR_BYTES * positionOf(k, half);
    table[4 * k + 1] = COMPLEX_VECTOR_BYTES * positionOf((half - k) % half, half);
    floats[4 * k + 2] = Math.cos((2 * Math.PI * k) / fftSize);
    floats[4 * k + 3] = -Math.sin((2 * Math.PI * k) / fftSize);
  }
  return table;
}

/** Position of frequency k after the transform. A radix-4 stage moves frequency k of a block of n to its quarter k mod 4. */
function positionOf(k: number, n: number): number {
  return n <= LAST_BLOCK ? k : (k % 4) * (n / 4) + positionOf(Math.floor(k / 4), n / 4);
}
