/**
 * Turns samples into pixels. Source: the paper, Section IV-B: short-time Fourier transform with a 25 ms Hamming window and a
 * 10 ms shift, 128 pixels high for 0-11 kHz. The details equal `librosa.stft(center=True, pad_mode='reflect')`:
 *
 * - Frame f is centred on sample f * hop. There are 1 + floor(n / hop) frames. Before the first and after the last sample
 *   the signal is mirrored without repeating the end (numpy's 'reflect'), with zeros if it is too short for that.
 * - The window is a periodic Hamming, 0.54 - 0.46 cos(2 pi i / win), in the middle of the FFT: its first sample is at
 *   f * hop - fft/2 + floor((fft - win) / 2). A shift does not change power, so the frame is put at the start of the FFT.
 * - Row r is the mean power of bins r*g + 1 .. r*g + g, g = fft/2/rows = 4. Bin 0 is left out. Row 0 is the lowest. On
 *   the scale `mel`, row r is the power through filter r of mel-bank.ts.
 * - Pixel = 255 * (dB below the reference - floor) / -floor, rounded half up, between 0 and 255.
 *
 * The kernel does the transform and the logarithm, in floats. Samples go through it in blocks. It holds the power of frames
 * (512 bytes a frame) until the maximum is known. A long recording goes through it in parts, twice: first for the maximum, then
 * for the pixels. So the kernel's memory stays small.
 *
 * Does not give the exact pixels of a transform in doubles: about one in ten thousand differs by 1.
 */
import type { FeatureSettings } from '../feature-settings.js';
import { hamming } from './hamming.js';
import { kernelWith, KernelMemory } from '../kernel.js';
import { fourierTables, type FourierTables } from './fourier-tables.js';
import { type MelFilter, melBank, packBank } from './mel-bank.js';

export interface Spectrogram {
  /** [rows, frames], row 0 lowest; 0 is the floor, 255 the reference */
  pixels: Uint8Array;
  frames: number;
}

type SpectrogramSettings = Pick<
  FeatureSettings,
  'sampleRateHz' | 'winLength' | 'hopLength' | 'fftSize' | 'rows' | 'scale' | 'reference' | 'floorDb' | 'bandLimitHz'
>;

/** Small enough that a block's samples stay in the second-level cache. */
const BLOCK_FRAMES = 64;
/** The kernel writes a vector of pixels at once. */
const VECTOR_PIXELS = 16;
/** A minute at the usual shift, in 3 MB. A multiple of `BLOCK_FRAMES`. */
const PART_FRAMES = 6_144;

/** @param samples mono at `settings.sampleRateHz`, with the mean already subtracted */
export function spectrogram(samples: Float32Array, settings: SpectrogramSettings): Spectrogram {
  const { winLength, hopLength, fftSize, floorDb } = settings;
  const frames = 1 + Math.floor(samples.length / hopLength);
  const filters = settings.scale === 'mel' ? melBank(settings) : null;
  const bank = filters ? packBank(filters) : new Uint8Array();
  const rows = rowsBelow(settings, filters);
  const group = fftSize / 2 / settings.rows;
  const tables = fourierTables(fftSize, winLength);
  const partFrames = Math.min(frames, PART_FRAMES);
  const stride = VECTOR_PIXELS * Math.ceil(partFrames / VECTOR_PIXELS);
  const memory = new KernelMemory();
  const pointers = allocateTables(memory, tables);
  const bankAt = filters ? memory.take(bank.length) : 0;
  const work = memory.take(16 * (fftSize + fftSize / 2 + 1));
  const blockLength = (BLOCK_FRAMES - 1) * hopLength + tables.window.length;
  const blockAt = memory.take(4 * blockLength);
  const power = memory.take(4 * stride * rows); // [rows, stride]
  const kernel = kernelWith(memory.sizeBytes);
  const floats = new Float32Array(kernel.memory.buffer);
  writeTables(floats, pointers, tables);
  new Uint8Array(kernel.memory.buffer).set(bank, bankAt);
  const { window, twiddles, split } = pointers;
  const block = floats.subarray(blockAt / 4, blockAt / 4 + blockLength);
  const rowPointers = Array.from({ length: rows }, (_, row) => power + 4 * row * stride);
  const parts = Array.from({ length: Math.ceil(frames / PART_FRAMES) }, (_, part) => {
    const first = part * PART_FRAMES;
    return { first, count: Math.min(PART_FRAMES, frames - first) };
  });
  let computed: number | undefined;
  const compute = ({ first, count: partCount }: { first: number; count: number }): void => {
    if (computed === first) return;
    computed = first;
    for (let frame = 0; frame < partCount; frame += BLOCK_FRAMES) {
      copyMirrored(samples, (first + frame) * hopLength - leadOf(settings), block);
      const count = 4 * Math.ceil(Math.min(BLOCK_FRAMES, partCount - frame) / 4);
      const to = power + 4 * frame;
      kernel.rowPower(blockAt, count, hopLength, window, winLength, fftSize / 2, twiddles, split, work, group, rows, bankAt, to, stride);
    }
  };
  const loudest = (): number =>
    parts.reduce((highest, part) => {
      compute(part);
      return Math.max(highest, ...rowPointers.map((row) => kernel.maximum(row, part.count)));
    }, 0);
  const reference =
    settings.reference === 'utterance'
      ? loudest()
      : 4 * (filters ? Math.max(...filters.map(sumOfWeights)) : group) * fullScalePower(winLength);
  const pixels = new Uint8Array(settings.rows * frames);
  if (!(reference > 0)) return { pixels, frames };
  const slope = ((255 / -floorDb) * 10) / Math.log2(10);
  // From the last part on, because the kernel still holds its power.
  for (const part of parts.reverse()) {
    compute(part);
    for (const [row, pointer] of rowPointers.entries()) {
      kernel.quantise(pointer, part.count, 1 / reference, slope, pointer); // a pixel is smaller than the power that it replaces
      pixels.set(new Uint8Array(kernel.memory.buffer, pointer, part.count), row * frames + part.first);
    }
  }
  return { pixels, frames };
}

/** Samples from the start of the window to the centre of the frame. */
function leadOf({ fftSize, winLength }: SpectrogramSettings): number {
  return fftSize / 2 - Math.floor((fftSize - winLength) / 2);
}

/** Fills `target` with the samples from `first` on, mirrored at both ends, with zeros if the signal is too short for that. */
function copyMirrored(samples: Float32Array, first: number, target: Float32Array): void {
  const last = samples.length - 1;
  const start = Math.max(0, first);
  const end = Math.min(samples.length, first + target.length);
  if (start < end) target.set(samples.subarray(start, end), start - first);
  for (let i = first; i < Math.min(0, first + target.length); i++) target[i - first] = samples[-i] ?? 0;
  for (let i = Math.max(samples.length, first); i < first + target.length; i++) target[i - first] = samples[2 * last - i] ?? 0;
}

/** Number of rows whose highest bin lies below the band limit. The rows above stay 0. */
function rowsBelow({ bandLimitHz, rows, fftSize, sampleRateHz }: SpectrogramSettings, filters: MelFilter[] | null): number {
  if (bandLimitHz === null) return rows;
  if (filters) return filters.filter(({ upperHz }) => upperHz < bandLimitHz).length;
  const rowHz = ((fftSize / 2 / rows) * sampleRateHz) / fftSize;
  let below = 0;
  while (below < rows && (below + 1) * rowHz < bandLimitHz) below++;
  return below;
}

const sumOfWeights = ({ weights }: MelFilter): number => weights.reduce((sum, weight) => sum + weight, 0);

/** Power of a sine of amplitude 1 on a bin: (sum of the window / 2)^2. The mean of a row stays below it. */
function fullScalePower(winLength: number): number {
  return (hamming(winLength).reduce((sum, value) => sum + value, 0) / 2) ** 2;
}

type TablePointers = Record<keyof FourierTables, number>;

function allocateTables(memory: KernelMemory, { window, twiddles, split }: FourierTables): TablePointers {
  return { window: memory.take(window.byteLength), twiddles: memory.take(twiddles.byteLength), split: memory.take(split.byteLength) };
}

function writeTables(floats: Float32Array, pointers: TablePointers, { window, twiddles, split }: FourierTables): void {
  floats.set(window, pointers.window / 4);
  floats.set(twiddles, pointers.twiddles / 4);
  new Uint32Array(floats.buffer).set(split, pointers.split / 4);
}
