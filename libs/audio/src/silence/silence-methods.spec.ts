import { describe, expect, it } from 'vitest';
import { featureSettings, type FeatureSettings } from '../feature-settings.js';
import { speechDetector } from './silence-methods.js';
import { trimSilence } from './trim-silence.js';

const methods = ['energy', 'top-db', 'webrtc'] as const;
const detector = (silenceMethod: FeatureSettings['silenceMethod']) => speechDetector(featureSettings({ silenceMethod }));

/** One second of a voice-like sound between seconds of faint noise. */
function talk(rateHz: number): Float32Array {
  return Float32Array.from({ length: 3 * rateHz }, (_, i) => {
    const seconds = i / rateHz;
    const noise = 0.0005 * Math.sin(i * i * 0.37);
    if (seconds < 1 || seconds >= 2) return noise;
    const pitch = 2 * Math.PI * 140 * seconds;
    let voice = 0;
    for (let harmonic = 1; harmonic <= 20; harmonic++) voice += Math.sin(harmonic * pitch + 0.5 * Math.sin(30 * seconds)) / harmonic;
    return noise + 0.1 * voice * (1 + 0.5 * Math.sin(2 * Math.PI * 4 * seconds));
  });
}

describe.each(methods)('%s', (method) => {
  it.each([8_000, 16_000, 22_050, 44_100, 48_000])('finds the voice at %i Hz, within 200 ms', async (rateHz) => {
    const { kept, cut } = await trimSilence(talk(rateHz), rateHz, 'ends', await detector(method));
    expect(kept).toHaveLength(1);
    expect(Math.abs(cut.leadingSec - 1)).toBeLessThan(0.2);
    expect(Math.abs(cut.trailingSec - 1)).toBeLessThan(0.2);
    expect(cut.insideSec).toBe(0);
  });

  it('cuts the pause between two voices only with "all"', async () => {
    const one = talk(16_000);
    const two = new Float32Array(2 * one.length);
    two.set(one);
    two.set(one, one.length);
    expect((await trimSilence(two, 16_000, 'all', await detector(method))).kept).toHaveLength(2);
    expect((await trimSilence(two, 16_000, 'ends', await detector(method))).kept).toHaveLength(1);
    expect((await trimSilence(two, 16_000, 'none', await detector(method))).kept).toEqual([{ start: 0, end: two.length }]);
  });
});
