/**
 * Conversion to the rate of the spectrogram (the paper's Section IV-B: 0-11 kHz) by a polyphase filter: a windowed sinc
 * with a Kaiser window (beta 9.6, stop band near -96 dB), 64 taps per phase, widened by rate/target when the rate goes
 * down. The cut-off is the lower of the two Nyquist frequencies, where the response is -6 dB; it is flat up to 0.9 of it.
 * Every phase is scaled to sum 1. Beyond its ends the signal is zero. Output length: ceil(n * target / rate).
 *
 * Does not promise linear phase alignment for a stream cut into pieces: it takes a whole utterance. Sums in doubles.
 */
import { PipelineError } from '#contracts/pipeline-error.js';

const TAPS = 64;
const KAISER_BETA = 9.6;
/** 32 MB of doubles; reached only by rates that share no factor with the target. */
const MAX_TABLE_VALUES = 1 << 22;
const MAX_CACHED_TABLES = 12;

interface Polyphase {
  /** Output sample m lies at input position m * down / up. */
  up: number;
  down: number;
  taps: number;
  /** [up, taps] */
  table: Float64Array;
}

const cache = new Map<string, Polyphase>();

/** @throws AUDIO_UNDECODABLE for a rate whose filter would be too large (above 192 kHz or far from any usual ratio) */
export function resample(samples: Float32Array, rateHz: number, targetHz = 22_000): Float32Array {
  if (rateHz === targetHz) return samples;
  const { up, down, taps, table } = polyphase(rateHz, targetHz);
  const before = taps / 2 - 1;
  const padded = new Float64Array(samples.length + 2 * taps);
  padded.set(samples, before);
  const output = new Float32Array(Math.ceil((samples.length * up) / down));
  let phase = 0;
  let first = 0; // of the taps' input, in `padded`
  for (let m = 0; m < output.length; m++) {
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let k = 0, t = phase * taps, i = first; k < taps; k += 4, t += 4, i += 4) {
      sum0 += (padded[i] as number) * (table[t] as number);
      sum1 += (padded[i + 1] as number) * (table[t + 1] as number);
      sum2 += (padded[i + 2] as number) * (table[t + 2] as number);
      sum3 += (padded[i + 3] as number) * (table[t + 3] as number);
    }
    output[m] = sum0 + sum1 + (sum2 + sum3);
    phase += down;
    while (phase >= up) {
      phase -= up;
      first++;
    }
  }
  return output;
}

function polyphase(rateHz: number, targetHz: number): Polyphase {
  const key = `${rateHz}:${targetHz}`;
  const known = cache.get(key);
  if (known) return known;
  const made = makePolyphase(rateHz, targetHz);
  if (cache.size >= MAX_CACHED_TABLES) cache.delete(cache.keys().next().value as string);
  cache.set(key, made);
  return made;
}

function makePolyphase(rateHz: number, targetHz: number): Polyphase {
  const divisor = greatestCommonDivisor(rateHz, targetHz);
  const up = targetHz / divisor;
  const down = rateHz / divisor;
  const taps = 4 * Math.ceil((TAPS * Math.max(1, rateHz / targetHz)) / 4);
  if (up * taps > MAX_TABLE_VALUES || rateHz > 192_000) {
    throw new PipelineError('AUDIO_UNDECODABLE', `a sample rate of ${rateHz} Hz is not supported`, { context: { sampleRateHz: rateHz } });
  }
  const cutoff = Math.min(1, targetHz / rateHz); // in units of the input's Nyquist frequency
  const table = new Float64Array(up * taps);
  for (let phase = 0; phase < up; phase++) {
    let sum = 0;
    for (let k = 0; k < taps; k++) {
      const distance = k - taps / 2 + 1 - phase / up; // from the output sample, in input samples
      const value = sinc(cutoff * distance) * kaiser(distance / (taps / 2));
      table[phase * taps + k] = value;
      sum += value;
    }
    for (let k = 0; k < taps; k++) table[phase * taps + k] = (table[phase * taps + k] as number) / sum;
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
