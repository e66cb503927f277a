/**
 * Converts audio to the rate of the spectrogram (the paper's Section IV-B: 0-11 kHz) with a polyphase filter. The filter is a
 * windowed sinc with a Kaiser window (beta 9.6, stop band near -96 dB), 64 taps per phase, and rate/target times as wide when
 * the rate goes down. The cut-off is the lower of the two Nyquist frequencies, where the response is -6 dB. The response is
 * flat up to 0.9 of it. Every phase is scaled to sum 1. Beyond its ends the signal is zero. Output length:
 * ceil(n * target / rate).
 *
 * It works through the samples in blocks of the kernel's memory, and sums floats in one fixed order. It takes a whole
 * utterance: pieces of a stream would not align.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import { requireFormat } from '../decode/decoded-audio.js';
import { kernelWith, KernelMemory } from '../kernel.js';

const TAPS = 64;
const KAISER_BETA = 9.6;
/** 16 MB of floats. Only rates without a common factor with the target reach this. */
export const MAX_TABLE_VALUES = 1 << 22;
/** 4 MB for the tables that are kept. The usual rates need less than 200 kB each; a larger table is made again for each file. */
const MAX_CACHED_VALUES = 1 << 20;
/** Small enough that a block's input and output stay in the second-level cache. */
const BLOCK_OUTPUTS = 16_384;

interface Polyphase {
  /** Output sample m lies at input position m * down / up. */
  up: number;
  down: number;
  taps: number;
  /** [up, taps] */
  table: Float32Array;
}

const cache = new Map<string, Polyphase>();

/** @throws AUDIO_UNDECODABLE for an unsupported rate, or one whose filter would be too large (far from any usual ratio) */
export function resample(samples: Float32Array, rateHz: number, targetHz = 22_000): Float32Array {
  if (rateHz === targetHz) return samples;
  requireFormat({ sampleRateHz: rateHz, channels: 1 });
  const { up, down, taps, table } = polyphase(rateHz, targetHz);
  const before = taps / 2 - 1;
  const output = new Float32Array(Math.ceil((samples.length * up) / down));
  const turns = Math.ceil(BLOCK_OUTPUTS / up); // every block begins at phase 0
  const memory = new KernelMemory();
  const tableAt = memory.take(4 * table.length);
  const inputAt = memory.take(4 * (turns * down + taps));
  const outputAt = memory.take(4 * turns * up);
  const kernel = kernelWith(memory.sizeBytes);
  const floats = new Float32Array(kernel.memory.buffer);
  floats.set(table, tableAt / 4);
  const input = floats.subarray(inputAt / 4, inputAt / 4 + turns * down + taps);
  for (let at = 0, first = -before; at < output.length; at += turns * up, first += turns * down) {
    const count = Math.min(turns * up, output.length - at);
    copyPadded(samples, first, input);
    kernel.resample(inputAt, tableAt, up, down, taps, outputAt, count);
    output.set(floats.subarray(outputAt / 4, outputAt / 4 + count), at);
  }
  return output;
}

/** Fills `target` with the samples from `first` on, and zeros where there are none. */
function copyPadded(samples: Float32Array, first: number, target: Float32Array): void {
  const lead = Math.min(target.length, Math.max(0, -first));
  target.fill(0, 0, lead);
  const from = first + lead;
  const taken = Math.max(0, Math.min(samples.length - from, target.length - lead));
  target.set(samples.subarray(from, from + taken), lead);
  target.fill(0, lead + taken);
}

function unsupportedRate(rateHz: number): PipelineError {
  return new PipelineError('AUDIO_UNDECODABLE', `a sample rate of ${rateHz} Hz is not supported`, { context: { sampleRateHz: rateHz } });
}

function polyphase(rateHz: number, targetHz: number): Polyphase {
  const key = `${rateHz}:${targetHz}`;
  const known = cache.get(key);
  if (known) return known;
  const made = makePolyphase(rateHz, targetHz);
  if (made.table.length > MAX_CACHED_VALUES) return made;
  const values = () => [...cache.values()].reduce((sum, { table }) => sum + table.length, made.table.length);
  while (values() > MAX_CACHED_VALUES) cache.delete(cache.keys().next().value as string);
  cache.set(key, made);
  return made;
}

/** Memory of the filter for a rate: its table, and the kernel's copy of it. */
export function filterBytes(rateHz: number, targetHz: number): number {
  if (rateHz === targetHz) return 0;
  const { up, taps } = shapeOf(rateHz, targetHz);
  return 2 * 4 * Math.min(MAX_TABLE_VALUES, up * taps);
}

function shapeOf(rateHz: number, targetHz: number): Omit<Polyphase, 'table'> {
  const divisor = greatestCommonDivisor(rateHz, targetHz);
  const taps = 8 * Math.ceil((TAPS * Math.max(1, rateHz / targetHz)) / 8);
  return { up: targetHz / divisor, down: rateHz / divisor, taps };
}

function makePolyphase(rateHz: number, targetHz: number): Polyphase {
  const { up, down, taps } = shapeOf(rateHz, targetHz);
  if (up * taps > MAX_TABLE_VALUES) throw unsupportedRate(rateHz);
  const cutoff = Math.min(1, targetHz / rateHz); // in units of the input's Nyquist frequency
  const table = new Float32Array(up * taps);
  const row = new Float64Array(taps);
  for (let phase = 0; phase < up; phase++) {
    let sum = 0;
    for (let k = 0; k < taps; k++) {
      const distance = k - taps / 2 + 1 - phase / up; // from the output sample, in input samples
      const value = sinc(cutoff * distance) * kaiser(distance / (taps / 2));
      row[k] = value;
      sum += value;
    }
    for (let k = 0; k < taps; k++) table[phase * taps + k] = (row[k] as number) / sum;
  }
  return { up, down, taps, table };
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** @param x -1..1 across the window */
function kaiser(x: number): number {
  return Math.abs(x) > 1 ? 0 : besselI0(KAISER_BETA * Math.sqrt(1 - x * x)) / besselI0(KAISER_BETA);
}

function besselI0(x: number): number {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
