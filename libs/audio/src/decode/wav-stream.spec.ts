import { describe, expect, it } from 'vitest';
import { decodeWav } from './decode-wav.js';
import { encodeWav } from './encode-wav.js';
import { NeedsMemory } from '../growing-samples.js';
import { WavStream } from './wav-stream.js';

const channels = (count: number, length: number) =>
  Array.from({ length: count }, (_, channel) => Float32Array.from({ length }, (_, i) => 0.4 * Math.sin((i * (channel + 1)) / 20)));

describe('a WAV in pieces', () => {
  it.each([
    [1, 16, 7],
    [2, 24, 4096],
    [6, 32, 1001],
  ] as const)('of %i channels and %i bits, %i bytes each, gives the samples of the whole', (count, bits, pieceBytes) => {
    const whole = encodeWav(channels(count, 30_000), { sampleRateHz: 44_100, bits });
    const stream = new WavStream({ maxDurationSec: 600 });
    for (let at = 0; at < whole.length; at += pieceBytes) stream.push(whole.subarray(at, at + pieceBytes));
    const { samples, sampleRateHz } = stream.finish();
    expect(sampleRateHz).toBe(44_100);
    expect(samples).toEqual(decodeWav(whole, { maxDurationSec: 600, decoder: '' }).samples);
  });

  it('that is longer than expected is kept whole', () => {
    const stream = new WavStream({ maxDurationSec: 100 });
    const whole = encodeWav(channels(1, 70 * 8_000), { sampleRateHz: 8_000 });
    for (let at = 0; at < whole.length; at += 65_536) stream.push(whole.subarray(at, at + 65_536));
    expect(stream.finish().samples).toEqual(decodeWav(whole, { maxDurationSec: 600, decoder: '' }).samples);
  });

  it('that ends before the end of its header is AUDIO_EMPTY', () => {
    const stream = new WavStream({ maxDurationSec: 600 });
    expect(() => stream.finish()).toThrow(expect.objectContaining({ code: 'AUDIO_EMPTY' }));
    stream.push(encodeWav(channels(1, 0), { sampleRateHz: 8_000 }));
    expect(() => stream.finish()).toThrow(expect.objectContaining({ code: 'AUDIO_EMPTY' }));
  });

  it('has silence where packets are missing, and all of its sound', () => {
    const stream = new WavStream({ maxDurationSec: 10 });
    const sound = Float32Array.of(0.125, 0.25, 0.5, 0.75);
    stream.push(encodeWav([sound], { sampleRateHz: 1_000, bits: 32, float: true }));
    expect(stream.durationSec).toBe(0.004);
    stream.insertSilence([
      { atSec: 0.001, durationSec: 0.002 },
      { atSec: 0.003, durationSec: 0.001 },
    ]);
    expect([...stream.finish().samples]).toEqual([0.125, 0, 0, 0.25, 0.5, 0, 0.75]);
  });

  it('with more samples than allowed throws NeedsMemory', () => {
    const stream = new WavStream({ maxDurationSec: 100, allowedSamples: 20_000 });
    const whole = encodeWav(channels(1, 30_000), { sampleRateHz: 8_000 });
    expect(() => stream.push(whole)).toThrow(NeedsMemory);
  });
});
