/**
 * The whole path from WAV bytes to pixels against librosa 0.11 and soxr 1.1 HQ (make-golden.py makes the arrays).
 *
 * Tolerance: within 1 of 255 below min(6.9 kHz, 0.86 of the source's Nyquist frequency), where both resamplers are flat, for
 * 99.9 % of the pixels of inner frames, and of all frames of the three seconds that are whole. The two frames at either end
 * see the signal mirrored; the mirror breaks what is left near the Nyquist frequency, where two resamplers differ, and
 * spreads it over the rows near the floor (soxr's own HQ and VHQ differ there in 0.2 % of the pixels of a clip of one
 * second). Of such a clip those four frames are 4 %, so it is 99.5 % of all its frames.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeAudio } from '../../../libs/audio/src/decode/decode-audio.js';
import { subtractMean } from '../../../libs/audio/src/extract-features.js';
import { featureSettings } from '../../../libs/audio/src/feature-settings.js';
import { melRowOf } from '../../../libs/audio/src/spectrogram/mel-bank.js';
import { resample } from '../../../libs/audio/src/spectrogram/resample.js';
import { spectrogram } from '../../../libs/audio/src/spectrogram/spectrogram.js';

const read = (name: string) => new Uint8Array(readFileSync(new URL(name, import.meta.url)));
const settings = featureSettings({ bandLimitHz: null });

async function pixelsOf(name: string, scale: 'linear' | 'mel' = 'linear') {
  const { samples, sampleRateHz } = await decodeAudio(read(`${name}.wav`), { ...settings, timeoutMs: 1000, ffmpeg: null });
  subtractMean(samples);
  return spectrogram(resample(samples, sampleRateHz), { ...settings, scale });
}

/** npy version 1.0, uint8, [128, frames] */
function golden(name: string) {
  const file = read(`${name}.npy`);
  const headerLength = 10 + ((file[8] as number) | ((file[9] as number) << 8));
  const pixels = file.subarray(headerLength);
  return { pixels, frames: pixels.length / 128 };
}

interface Region {
  frames: number;
  /** From the lowest. */
  rows: number;
  /** Frames left out at either end. */
  edge: number;
}

function shareWithin(tolerance: number, ours: Uint8Array, theirs: Uint8Array, { frames, rows, edge }: Region): number {
  let close = 0;
  for (let row = 0; row < rows; row++) {
    for (let frame = edge; frame < frames - edge; frame++) {
      const at = row * frames + frame;
      if (Math.abs((ours[at] as number) - (theirs[at] as number)) <= tolerance) close++;
    }
  }
  return close / (rows * (frames - 2 * edge));
}

const sixRates = ['speech', 'noise', 'clipping'];
const twoRates = [...sixRates, 'offset', 'sweep', 'clicks'];
const whole = ['speech-whole', 'clipping-whole'];

describe.each([
  [8_000, sixRates],
  [16_000, [...twoRates, ...whole]],
  [22_050, sixRates],
  [24_000, sixRates],
  [44_100, twoRates],
  [48_000, sixRates],
] as const)('at %i Hz', (rateHz, cases) => {
  const rows = Math.floor(Math.min(6_900, 0.86 * (rateHz / 2)) / ((4 * 22_000) / 1024));

  it.each(cases)('%s has the pixels of librosa and soxr', async (name) => {
    const ours = await pixelsOf(`${name}-${rateHz}`);
    const { pixels, frames } = golden(`${name}-${rateHz}`);
    expect(ours.frames).toBe(frames);
    const share = (tolerance: number, region: Partial<Region> = {}) =>
      shareWithin(tolerance, ours.pixels, pixels, { frames, rows, edge: 0, ...region });
    if (process.env.UNDERTONE_PRINT_GOLDEN) {
      const shares = [share(1, { edge: 2 }), share(1), share(0, { edge: 2 }), share(1, { rows: 128 })].map((part) =>
        (100 * part).toFixed(3),
      );
      console.log(
        `${name} ${rateHz}: inner ${shares[0]} %, all frames ${shares[1]} %, inner equal ${shares[2]} %, all rows ${shares[3]} %`,
      );
    }
    expect(share(1, { edge: 2 })).toBeGreaterThanOrEqual(name === 'clicks' ? 0.96 : 0.999);
    expect(share(1)).toBeGreaterThanOrEqual(name === 'clicks' ? 0.96 : whole.includes(name) ? 0.999 : 0.995);
  });

  it('speech has the mel rows of librosa', async () => {
    const ours = await pixelsOf(`speech-${rateHz}`, 'mel');
    const { pixels, frames } = golden(`speech-${rateHz}-mel`);
    const melRows = Math.floor(melRowOf(Math.min(6_900, 0.86 * (rateHz / 2)), settings) - 0.5);
    expect(shareWithin(1, ours.pixels, pixels, { frames, rows: melRows, edge: 2 })).toBeGreaterThanOrEqual(0.999);
  });
});
