import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeFlac } from '../flac/decode-flac.js';
import { encodeWav } from './encode-wav.js';
import { filterBytes } from '../spectrogram/resample.js';
import { estimateMemory } from './estimate-memory.js';
import { featureSettings } from '../feature-settings.js';
import { ffmpegResidentBytes } from './limit-memory.js';

const settings = featureSettings();
const wav = (seconds: number, rateHz: number) => encodeWav([new Float32Array(seconds * rateHz)], { sampleRateHz: rateHz });

describe('the estimated memory', () => {
  it('of a WAV is that of its samples as floats and their copy at 22 kHz, without the bytes of the file', () => {
    const minute = wav(60, 48_000);
    const usualFilter = filterBytes(48_000, 22_000);
    expect(usualFilter).toBeLessThan(2e5);
    expect(estimateMemory(minute, settings).bytes).toBe(4 * 60 * (48_000 + 22_000) + usualFilter);
    expect(estimateMemory(minute, featureSettings({ sampleRateHz: 44_000, winLength: 1100, hopLength: 440, fftSize: 2048 })).bytes).toBe(
      4 * 60 * (48_000 + 44_000) + filterBytes(48_000, 44_000),
    );
  });

  it('of a WAV whose rate has no common factor with 22 kHz is that of its large filter too', () => {
    expect(estimateMemory(wav(1, 47_999), settings).bytes).toBeGreaterThan(2 * 4 * 22_000 * 136);
  });

  it('of a FLAC follows from its header', async () => {
    const flac = readFileSync(globSync('samples/librispeech-mini/**/*.flac').sort()[0] as string);
    const { samples } = await decodeFlac(flac, { maxDurationSec: 600, decoder: '' });
    expect(estimateMemory(flac, settings).bytes).toBeGreaterThan(samples.byteLength * (1 + 22 / 16));
    expect(estimateMemory(flac, settings).bytes).toBeLessThan(samples.byteLength * 3.5 + 6e6);
  });

  it('of a file for ffmpeg is guessed from its size, with the samples that the guess allows', () => {
    const mp3 = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i < 3 ? 'ID3'.charCodeAt(i) : 0));
    const short = estimateMemory(mp3(30_000), settings);
    expect(short.allowedSamples).toBe(30 * 48_000);
    expect(short.bytes).toBe(4 * 30 * 48_000 + ffmpegResidentBytes);
    const long = estimateMemory(mp3(5_000_000), settings);
    expect(long.bytes).toBeLessThan(4 * 602 * (48_000 + 22_000) + 35e6);
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
