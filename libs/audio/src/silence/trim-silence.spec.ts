import { describe, expect, it } from 'vitest';
import { keepRanges, trimSilence } from './trim-silence.js';

const RATE = 16_000;

/** Noise with a given level in each stretch: [seconds, dBFS]. */
function made(...stretches: [number, number][]): Float32Array {
  let state = 1;
  const parts = stretches.map(([seconds, db]) =>
    Float32Array.from({ length: Math.round(seconds * RATE) }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return 10 ** (db / 20) * Math.sqrt(3) * (state / 2 ** 31 - 1);
    }),
  );
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

const talk = made([0.5, -65], [0.6, -20], [0.5, -65], [0.6, -22], [0.4, -65]);

describe('silence', () => {
  it('alone keeps nothing', async () => {
    expect((await trimSilence(made([1, -80]), RATE, 'ends')).kept).toEqual([]);
    expect((await trimSilence(new Float32Array(16_000), RATE, 'all')).kept).toEqual([]);
    expect((await trimSilence(new Float32Array(16_000), RATE, 'all')).cut).toEqual({ leadingSec: 1, trailingSec: 0, insideSec: 0 });
  });

  it('with one click keeps nothing', async () => {
    const click = made([1, -85]);
    click[8_000] = 0.9;
    expect((await trimSilence(click, RATE, 'ends')).kept).toEqual([]);
  });

  it('is not found in a constant level', async () => {
    const steady = made([1, -30]);
    expect(await trimSilence(steady, RATE, 'all')).toEqual({
      kept: [{ start: 0, end: 16_000 }],
      cut: { leadingSec: 0, trailingSec: 0, insideSec: 0 },
    });
  });

  it('is kept by profile none', async () => {
    const { kept, cut } = await trimSilence(talk, RATE, 'none');
    expect(kept).toEqual([{ start: 0, end: talk.length }]);
    expect(cut).toEqual({ leadingSec: 0, trailingSec: 0, insideSec: 0 });
    expect(keepRanges(talk, kept)).toBe(talk);
  });

  it('is cut at the ends, with 40 to 80 ms left before the onset', async () => {
    const { kept, cut } = await trimSilence(talk, RATE, 'ends');
    expect(kept).toHaveLength(1);
    expect(cut.leadingSec).toBeGreaterThan(0.42);
    expect(cut.leadingSec).toBeLessThanOrEqual(0.46);
    expect(cut.trailingSec).toBeGreaterThan(0.32);
    expect(cut.trailingSec).toBeLessThanOrEqual(0.36);
    expect(cut.insideSec).toBe(0);
  });

  it('is cut inside too by profile all, and the seconds add up', async () => {
    const { kept, cut } = await trimSilence(talk, RATE, 'all');
    expect(kept).toHaveLength(2);
    expect(cut.insideSec).toBeCloseTo(0.4, 1);
    const keptSec = keepRanges(talk.slice(), kept).length / RATE;
    expect(keptSec + cut.leadingSec + cut.trailingSec + cut.insideSec).toBeCloseTo(talk.length / RATE, 6);
  });

  it('shorter than a fifth of a second belongs to the speech', async () => {
    const stop = made([0.5, -65], [0.4, -20], [0.12, -65], [0.4, -20], [0.5, -65]);
    expect((await trimSilence(stop, RATE, 'all')).kept).toHaveLength(1);
  });

  it('is found even under loud noise', async () => {
    const noisy = made([0.6, -35], [0.8, -20], [0.6, -35]);
    const { cut } = await trimSilence(noisy, RATE, 'ends');
    expect(cut.leadingSec).toBeCloseTo(0.54, 1);
    expect(cut.trailingSec).toBeCloseTo(0.54, 1);
  });

  it('never gives a range past the end of the audio', async () => {
    const open = made([0.5, -65], [0.503, -20]);
    expect((await trimSilence(open, 11_025, 'ends')).kept.at(-1)?.end).toBe(open.length);
  });
});
