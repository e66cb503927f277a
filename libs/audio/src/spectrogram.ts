/**
 * Samples to pixels. Source: the paper, Section IV-B: short-time Fourier transform with a 25 ms Hamming window and a
 * 10 ms shift, 128 pixels high for 0-11 kHz. As follows, the same as `librosa.stft(center=True, pad_mode='reflect')`:
 *
 * - Frame f is centred on sample f * hop; there are 1 + floor(n / hop) frames. Before the first and after the last sample
 *   the signal is mirrored without repeating the end (numpy's 'reflect'); zeros where it is too short for that.
 * - The window is a periodic Hamming, 0.54 - 0.46 cos(2 pi i / win), in the middle of the FFT: its first sample is at
 *   f * hop - fft/2 + floor((fft - win) / 2). Power does not see the shift, so the frame is put at the FFT's start.
 * - Row r is the mean power of bins r*g + 1 .. r*g + g, g = fft/2/rows = 4; bin 0 is left out. Row 0 is the lowest.
 * - Pixel = 255 * (dB below the reference - floor) / -floor, rounded half up, between 0 and 255.
 *
 * Does not promise blocks: all frames' power is held at once (512 bytes a frame); `maxDurationSec` bounds it.
 */
import type { FeatureSettings } from './feature-settings.js';
import { RealFft } from './fft.js';

export interface Spectrogram {
  /** [rows, frames], row 0 lowest; 0 = the floor, 255 = the reference */
  pixels: Uint8Array;
  frames: number;
}

type SpectrogramSettings = Pick<
  FeatureSettings,
  'sampleRateHz' | 'winLength' | 'hopLength' | 'fftSize' | 'rows' | 'reference' | 'floorDb' | 'bandLimitHz'
>;

/** @param samples mono at `settings.sampleRateHz`, mean already subtracted */
export function spectrogram(samples: Float32Array, settings: SpectrogramSettings): Spectrogram {
  const frames = 1 + Math.floor(samples.length / settings.hopLength);
  const rows = rowsBelow(settings);
  const power = rowPower(samples, frames, rows, settings); // [frames, rows below the band limit]
  const reference = settings.reference === 'utterance' ? maximum(power) : fullScalePower(settings.winLength);
  return { pixels: quantise(power, { frames, rows, allRows: settings.rows, reference, floorDb: settings.floorDb }), frames };
}

/** Periodic Hamming window. */
export function hamming(length: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => 0.54 - 0.46 * Math.cos((2 * Math.PI * i) / length));
}

/** Rows whose highest bin lies below the band limit; those above are left at 0. */
function rowsBelow({ bandLimitHz, rows, fftSize, sampleRateHz }: SpectrogramSettings): number {
  if (bandLimitHz === null) return rows;
  const rowHz = ((fftSize / 2 / rows) * sampleRateHz) / fftSize;
  let below = 0;
  while (below < rows && (below + 1) * rowHz < bandLimitHz) below++;
  return below;
}

function rowPower(samples: Float32Array, frames: number, rows: number, settings: SpectrogramSettings): Float32Array {
  const { winLength, hopLength, fftSize } = settings;
  const window = hamming(winLength);
  const fft = new RealFft(fftSize);
  const bins = new Float64Array(fftSize / 2 + 1);
  const group = fftSize / 2 / settings.rows;
  const lead = fftSize / 2 - Math.floor((fftSize - winLength) / 2); // from the window's first sample to the frame's centre
  const padded = mirrorEnds(samples, lead, winLength);
  const power = new Float32Array(frames * rows);
  for (let frame = 0, at = 0; frame < frames; frame++) {
    fft.powerOf(padded, frame * hopLength, window, bins);
    for (let row = 0, bin = 1; row < rows; row++) {
      let sum = 0;
      for (let k = 0; k < group; k++) sum += bins[bin++] as number;
      power[at++] = sum / group;
    }
  }
  return power;
}

/** `before` mirrored samples in front, `after` behind. */
function mirrorEnds(samples: Float32Array, before: number, after: number): Float32Array {
  const last = samples.length - 1;
  const padded = new Float32Array(before + samples.length + after);
  padded.set(samples, before);
  for (let i = 1; i <= Math.min(before, last); i++) padded[before - i] = samples[i] as number;
  for (let i = 1; i <= Math.min(after, last); i++) padded[before + last + i] = samples[last - i] as number;
  return padded;
}

/** A sine of amplitude 1 on a bin: (sum of the window / 2)^2. A row's mean stays below it. */
function fullScalePower(winLength: number): number {
  return (hamming(winLength).reduce((sum, value) => sum + value, 0) / 2) ** 2;
}

function maximum(values: Float32Array): number {
  let max = 0;
  for (let i = 0; i < values.length; i++) if ((values[i] as number) > max) max = values[i] as number;
  return max;
}

interface QuantiseOptions {
  frames: number;
  /** Rows that `power` has. */
  rows: number;
  /** Rows of the picture. */
  allRows: number;
  reference: number;
  floorDb: number;
}

/**
 * The pixel is the number of its 255 thresholds that the power reaches: the same as rounding the logarithm, without one
 * per pixel. A table over exponent and five bits of mantissa (3 % steps, a threshold every 7 %) finds the threshold.
 */
function quantise(power: Float32Array, { frames, rows, allRows, reference, floorDb }: QuantiseOptions): Uint8Array {
  const pixels = new Uint8Array(allRows * frames);
  if (!(reference > 0)) return pixels;
  const thresholds = Float64Array.from({ length: 257 }, (_, pixel) =>
    pixel === 256 ? Infinity : pixel === 0 ? 0 : 10 ** ((floorDb - (floorDb * (pixel - 0.5)) / 255) / 10),
  );
  const { lowest, levels } = levelTable(thresholds);
  const asFloat = new Float32Array(1);
  const asBits = new Uint32Array(asFloat.buffer);
  for (let row = 0; row < rows; row++) {
    for (let frame = 0, at = row, out = row * frames; frame < frames; frame++, at += rows, out++) {
      const ratio = (power[at] as number) / reference;
      asFloat[0] = ratio;
      const cell = ((asBits[0] as number) >>> 18) - lowest;
      let pixel = cell < 0 ? 0 : (levels[Math.min(cell, levels.length - 1)] as number);
      while (ratio >= (thresholds[pixel + 1] as number)) pixel++;
      while (ratio < (thresholds[pixel] as number)) pixel--;
      pixels[out] = pixel;
    }
  }
  return pixels;
}

/** For each cell (the top 14 bits of a positive float): the pixel of its smallest value. */
function levelTable(thresholds: Float64Array): { lowest: number; levels: Uint8Array } {
  const asFloat = new Float32Array([thresholds[1] as number, 1]);
  const asBits = new Uint32Array(asFloat.buffer);
  const lowest = (asBits[0] as number) >>> 18;
  const levels = new Uint8Array(((asBits[1] as number) >>> 18) - lowest + 1);
  let pixel = 0;
  for (let cell = 0; cell < levels.length; cell++) {
    asBits[0] = (cell + lowest) << 18;
    while ((asFloat[0] as number) >= (thresholds[pixel + 1] as number)) pixel++;
    levels[cell] = pixel;
  }
  return { lowest, levels };
}
