import { describe, expect, it } from 'vitest';
import { resample } from './resample.js';

const tone = (hz: number, rateHz: number, length: number) =>
  Float32Array.from({ length }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rateHz));
const RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];

/** Amplitude of a tone, through a Hann window so that other tones do not leak in. */
function amplitude(samples: Float32Array, hz: number, rateHz = 22_000): number {
  const start = 2_000;
  const length = samples.length - 2 * start;
  let re = 0;
  let im = 0;
  for (let i = 0; i < length; i++) {
    const value = (samples[start + i] as number) * (1 - Math.cos((2 * Math.PI * i) / length));
    re += value * Math.cos((2 * Math.PI * hz * i) / rateHz);
    im += value * Math.sin((2 * Math.PI * hz * i) / rateHz);
  }
  return (2 * Math.hypot(re, im)) / length;
}

const decibels = (amplitude: number) => 20 * Math.log10(amplitude);

/** Away from the ends, where a tone starts and stops abruptly. */
const loudest = (samples: Float32Array) => samples.subarray(2_000, -2_000).reduce((a, b) => Math.max(a, Math.abs(b)), 0);

/** The largest value that is left after the tone, fitted in amplitude and phase, is subtracted. */
function besideTone(samples: Float32Array, hz: number, rateHz = 22_000): number {
  const wave = Array.from(samples, (_, i) => (2 * Math.PI * hz * i) / rateHz);
  const middle = { from: 2_000, to: samples.length - 2_000 };
  let [cc, cs, ss, c, s] = [0, 0, 0, 0, 0];
  for (let i = middle.from; i < middle.to; i++) {
    const [cos, sin] = [Math.cos(wave[i] as number), Math.sin(wave[i] as number)];
    cc += cos * cos;
    cs += cos * sin;
    ss += sin * sin;
    c += cos * (samples[i] as number);
    s += sin * (samples[i] as number);
  }
  const determinant = cc * ss - cs * cs;
  const [a, b] = [(c * ss - s * cs) / determinant, (s * cc - c * cs) / determinant];
  return loudest(samples.map((sample, i) => sample - a * Math.cos(wave[i] as number) - b * Math.sin(wave[i] as number)));
}

describe('resample', () => {
  it('refuses a rate whose filter would not fit', () => {
    expect(() => resample(new Float32Array(10), 191_999)).toThrow(expect.objectContaining({ code: 'AUDIO_UNDECODABLE' }));
    expect(() => resample(new Float32Array(10), 4_000_000_000)).toThrow(expect.objectContaining({ code: 'AUDIO_UNDECODABLE' }));
  });

  it('leaves 22 kHz unchanged', () => {
    const samples = tone(440, 22_000, 100);
    expect(resample(samples, 22_000)).toBe(samples);
  });

  it.each(RATES)('of %i Hz has ceil(n * 22000 / rate) samples', (rateHz) => {
    for (const length of [1, 2, 799, 1_000, 16_001]) {
      expect(resample(new Float32Array(length), rateHz)).toHaveLength(Math.ceil((length * 22_000) / rateHz));
    }
  });

  it.each(RATES)('of %i Hz keeps a tone in place, in phase and amplitude', (rateHz) => {
    const hz = 0.3 * Math.min(rateHz, 22_000);
    const output = resample(tone(hz, rateHz, Math.round(0.4 * rateHz)), rateHz);
    const expected = tone(hz, 22_000, output.length);
    let worst = 0;
    for (let i = 1_000; i < output.length - 1_000; i++) worst = Math.max(worst, Math.abs((output[i] as number) - (expected[i] as number)));
    expect(worst).toBeLessThan(2e-4);
  });

  it('halves a tone at the lower Nyquist frequency and its image just above', () => {
    const up = resample(tone(3_995, 8_000, 16_000), 8_000);
    expect(20 * Math.log10(amplitude(up, 3_995))).toBeCloseTo(-5.9, 0);
    expect(20 * Math.log10(amplitude(up, 4_005))).toBeCloseTo(-6.1, 0);
  });

  it('removes sound above the lower Nyquist frequency', () => {
    const aliased = resample(tone(13_000, 44_100, 44_100), 44_100); // would fold to 9 kHz
    expect(20 * Math.log10(amplitude(aliased, 9_000))).toBeLessThan(-90);
    const imaged = resample(tone(6_500, 16_000, 16_000), 16_000); // its image would be at 9.5 kHz
    expect(20 * Math.log10(amplitude(imaged, 9_500))).toBeLessThan(-90);
  });

  // The transition band is 0.9 to 1.1 of the lower Nyquist frequency.
  it.each([8_000, 16_000, 22_050, 24_000, 44_100, 48_000])('of %i Hz adds no tone above -90 dB', (rateHz) => {
    const nyquistHz = Math.min(rateHz, 22_000) / 2;
    for (const part of [0.03, 0.21, 0.4, 0.55, 0.68, 0.79, 0.9]) {
      expect(decibels(besideTone(resample(tone(part * nyquistHz, rateHz, rateHz), rateHz), part * nyquistHz))).toBeLessThan(-90);
    }
    for (let hz = 1.1 * nyquistHz; hz < rateHz / 2; hz += 0.07 * nyquistHz) {
      expect(decibels(loudest(resample(tone(hz, rateHz, rateHz), rateHz)))).toBeLessThan(-90);
    }
  });
});
