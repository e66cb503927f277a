import { describe, expect, it } from 'vitest';
import { featureSettings } from '../feature-settings.js';

import { melRowOf } from './mel-bank.js';
import { hamming } from './hamming.js';
import { powerOfBins } from './power-of-bins.fixture.js';
import { spectrogram } from './spectrogram.js';

const settings = featureSettings({ bandLimitHz: null });
const tone = (hz: number, length = 22_000, amplitude = 0.5) =>
  Float32Array.from({ length }, (_, i) => amplitude * Math.sin((2 * Math.PI * hz * i) / 22_000));
const column = ({ pixels, frames }: { pixels: Uint8Array; frames: number }, frame: number) =>
  Array.from({ length: pixels.length / frames }, (_, row) => pixels[row * frames + frame] as number);

describe('spectrogram', () => {
  it('has frequency along rows and time along columns: 1 kHz lights row 11 of every column', () => {
    const picture = spectrogram(tone(1_000), settings);
    const row = Math.floor(((1_000 / 22_000) * 1024 - 1) / 4);
    expect(row).toBe(11);
    for (let frame = 0; frame < picture.frames; frame++) {
      const levels = column(picture, frame);
      expect(levels.indexOf(Math.max(...levels))).toBe(row);
    }
  });

  it('has 1 + floor(n / 220) frames', () => {
    for (const length of [550, 659, 660, 22_000])
      expect(spectrogram(tone(500, length), settings).frames).toBe(1 + Math.floor(length / 220));
  });

  it('of a click lights the frames whose window holds it, and no other', () => {
    const click = new Float32Array(22_000);
    click[11_000] = 1;
    const { pixels, frames } = spectrogram(click, settings);
    const lit = Array.from({ length: frames }, (_, frame) => frame).filter((frame) => (pixels[64 * frames + frame] as number) > 0);
    expect(lit).toEqual([49, 50, 51]);
    expect(pixels[64 * frames + 50]).toBe(255);
  });

  it('does not depend on loudness by default, but does with reference full-scale', () => {
    const [loud, soft] = [tone(1_000), tone(1_000, 22_000, 0.05)];
    expect(spectrogram(soft, settings).pixels).toEqual(spectrogram(loud, settings).pixels);
    const fullScale = { ...settings, reference: 'full-scale' as const };
    const difference = Math.max(...spectrogram(loud, fullScale).pixels) - Math.max(...spectrogram(soft, fullScale).pixels);
    expect(difference).toBeGreaterThanOrEqual(63); // 20 dB of 80
    expect(difference).toBeLessThanOrEqual(65);
    expect(Math.max(...spectrogram(tone(1_000, 22_000, 1), fullScale).pixels)).toBeLessThanOrEqual(255);
  });

  it('is 0 in rows that reach the band limit', () => {
    const noise = Float32Array.from({ length: 22_000 }, (_, i) => Math.sin(i * i * 0.37));
    const { pixels, frames } = spectrogram(noise, { ...settings, bandLimitHz: 8_000 });
    expect(pixels.subarray(93 * frames).every((pixel) => pixel === 0)).toBe(true);
    expect(pixels.subarray(92 * frames, 93 * frames).every((pixel) => pixel > 0)).toBe(true);
  });

  it('of zeros is zeros', () => {
    expect(spectrogram(new Float32Array(2_000), settings).pixels.every((pixel) => pixel === 0)).toBe(true);
  });

  it('of a signal shorter than half a window uses zeros where it cannot mirror', () => {
    expect(spectrogram(Float32Array.of(0.5, -0.5, 0.25), settings).frames).toBe(1);
  });

  it('rounds decibels half up, as the logarithm would', () => {
    const noise = Float32Array.from({ length: 4_000 }, (_, i) => Math.sin(i * i * 0.37) * (i / 4_000) ** 4);
    const { pixels, frames } = spectrogram(noise, settings);
    const power: number[][] = [];
    for (let frame = 2; frame < frames - 2; frame++) {
      const bins = powerOfBins(noise.subarray(frame * 220 - 275), hamming(550), 1024);
      power[frame] = Array.from({ length: 128 }, (_, row) => bins.slice(4 * row + 1, 4 * row + 5).reduce((a, b) => a + b) / 4);
    }
    // If no inner pixel is 255, the loudest row may lie in an edge frame, and its power would then not be the reference.
    const all = power.flatMap((rows, frame) => rows.map((value, row) => ({ value, pixel: pixels[row * frames + frame] as number })));
    const top = all.filter(({ pixel }) => pixel > 200).sort((a, b) => b.value - a.value)[0] as { value: number; pixel: number };
    const offset = top.pixel - (255 * (10 * Math.log10(top.value) + 80)) / 80;
    for (const { value, pixel } of all) {
      const ideal = Math.max(0, Math.min(255, (255 * (10 * Math.log10(value) + 80)) / 80 + offset));
      expect(Math.abs(pixel - ideal)).toBeLessThanOrEqual(1.01);
    }
  });

  it('on the mel scale lights the row whose filter covers a tone', () => {
    const mel = { ...settings, scale: 'mel' as const };
    for (const hz of [200, 500, 1_000, 3_000, 8_000]) {
      const picture = spectrogram(tone(hz), mel);
      const levels = column(picture, 50);
      expect(Math.abs(levels.indexOf(Math.max(...levels)) - melRowOf(hz, mel))).toBeLessThanOrEqual(1);
    }
    const limited = spectrogram(tone(8_500), { ...mel, bandLimitHz: 8_000 });
    expect(column(limited, 50).at(-1)).toBe(0);
    const fullScale = spectrogram(tone(1_000, 22_000, 1), { ...mel, reference: 'full-scale' });
    expect(Math.max(...fullScale.pixels)).toBeLessThanOrEqual(255);
    expect(Math.max(...fullScale.pixels)).toBeGreaterThan(215);
  });

  it.each(['utterance', 'full-scale'] as const)('of two minutes has the columns of its pieces, with reference %s', (reference) => {
    const seconds = 130; // more than two parts of the kernel's memory
    const long = tone(1_000, seconds * 22_000);
    for (let i = 0; i < long.length; i++) long[i]! *= 0.1 + (0.9 * i) / long.length; // the loudest moment is at the end
    const settingsOfTest = { ...settings, reference };
    const whole = spectrogram(long, settingsOfTest);
    expect(whole.frames).toBe(seconds * 100 + 1);
    const piece = (firstSec: number, endSec: number) => spectrogram(long.subarray(firstSec * 22_000, endSec * 22_000), settingsOfTest);
    const last = piece(120, 130);
    for (const frame of [200, 500, 900]) expect(column(whole, 12_000 + frame)).toEqual(column(last, frame));
    if (reference === 'utterance') return;
    const seam = piece(60, 64); // frame 6,144 begins the second part
    for (const frame of [142, 143, 144, 145, 300]) expect(column(whole, 6_000 + frame)).toEqual(column(seam, frame));
  });
});
