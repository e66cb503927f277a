import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeFlac } from '../flac/decode-flac.js';
import { encodeWav } from './encode-wav.js';
import { estimateMemory } from './estimate-memory.js';
import { featureSettings } from '../feature-settings.js';

const settings = featureSettings();
const wav = (seconds: number, rateHz: number) => encodeWav([new Float32Array(seconds * rateHz)], { sampleRateHz: rateHz });

describe('the estimated memory', () => {
  it('of a WAV is that of its samples as floats with its bytes, or with their copy at 22 kHz', () => {
    const minute = wav(60, 48_000);
    expect(estimateMemory(minute, settings).bytes).toBe(minute.length + 4 * 60 * 48_000);
    expect(estimateMemory(minute, featureSettings({ sampleRateHz: 44_000, winLength: 1100, hopLength: 440, fftSize: 2048 })).bytes).toBe(
      4 * 60 * (48_000 + 44_000),
    );
  });

  it('of a FLAC follows from its header', async () => {
    const flac = readFileSync(globSync('samples/librispeech-mini/**/*.flac').sort()[0] as string);
    const { samples } = await decodeFlac(flac, { maxDurationSec: 600, decoder: '' });
    expect(estimateMemory(flac, settings).bytes).toBeGreaterThan(samples.byteLength * (1 + 22 / 16));
    expect(estimateMemory(flac, settings).bytes).toBeLessThan(samples.byteLength * 3.5);
  });

  it('of a file for ffmpeg is guessed from its size, with the samples that the guess allows', () => {
    const mp3 = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i < 3 ? 'ID3'.charCodeAt(i) : 0));
    const short = estimateMemory(mp3(30_000), settings);
    expect(short.allowedSamples).toBe(30 * 48_000);
    expect(short.bytes).toBeGreaterThan(4 * 30 * 48_000 + 20e6); // an ffmpeg process takes its part
    expect(short.bytes).toBeLessThan(4e7);
    const long = estimateMemory(mp3(5_000_000), settings);
    expect(long.bytes).toBeLessThan(4 * 602 * 48_000 * 1.6);
    expect(long.allowedSamples).toBe(602 * 48_000);
  });

  it('of a file that was longer than guessed is that of the longest file, without a limit', () => {
    const largest = estimateMemory(Buffer.from(`OggS${'\0'.repeat(96)}`), settings, 'largest');
    expect(largest.bytes).toBeGreaterThan(4 * 600 * (48_000 + 22_000));
    expect(largest.allowedSamples).toBeNull();
  });

  it('of a file with an invalid header is 0', () => {
    expect(estimateMemory(Buffer.from('not audio at all'), settings).bytes).toBe(0);
    expect(estimateMemory(wav(1, 16_000).subarray(0, 20), settings).bytes).toBe(0);
  });
});
