/** FLAC written by libFLAC, against WAV with the same samples (make-golden.py): equal to the last bit, or a clear error. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeFlac, parseStreamInfo } from '../../../libs/audio/src/flac/decode-flac.js';
import { decodeWav } from '../../../libs/audio/src/decode/decode-wav.js';
import { extractFeatures } from '../../../libs/audio/src/extract-features.js';
import { featureSettings } from '../../../libs/audio/src/feature-settings.js';

const read = (name: string) => new Uint8Array(readFileSync(new URL(name, import.meta.url)));
const limits = { maxDurationSec: 600, decoder: 'under test' };
const decode = (bytes: Uint8Array) => decodeFlac(bytes, limits);

describe('damaged FLAC', () => {
  it.each([1, 500, 3_000])('cut %i bytes short is AUDIO_TRUNCATED', async (missing) => {
    const whole = read('mono-16.flac');
    await expect(decode(whole.subarray(0, whole.length - missing))).rejects.toMatchObject({ code: 'AUDIO_TRUNCATED' });
  });

  it('cut inside its header is AUDIO_TRUNCATED', async () => {
    await expect(decode(read('mono-16.flac').subarray(0, 30))).rejects.toMatchObject({ code: 'AUDIO_TRUNCATED' });
  });

  it('with a bit flipped in a frame is refused, not played', async () => {
    const damaged = read('mono-16.flac');
    damaged[damaged.length - 300] = (damaged[damaged.length - 300] as number) ^ 4;
    await expect(decode(damaged)).rejects.toMatchObject({ code: expect.stringMatching(/AUDIO_(TRUNCATED|UNDECODABLE)/) });
  });

  it('with the MD5 of other audio is AUDIO_UNDECODABLE', async () => {
    const damaged = read('mono-16.flac');
    damaged[30] = (damaged[30] as number) ^ 1;
    await expect(decode(damaged)).rejects.toMatchObject({ code: 'AUDIO_UNDECODABLE' });
  });

  it('longer than allowed is AUDIO_TOO_LONG by its header', async () => {
    const damaged = read('mono-16.flac').subarray(0, 42);
    await expect(decodeFlac(damaged, { ...limits, maxDurationSec: 0.1 })).rejects.toMatchObject({ code: 'AUDIO_TOO_LONG' });
  });

  it('of unknown length stops at the longest allowed', async () => {
    const unknown = read('mono-16.flac');
    unknown[21] = (unknown[21] as number) & 0xf0;
    unknown.fill(0, 22, 26);
    await expect(decodeFlac(unknown, { ...limits, maxDurationSec: 0.1 })).rejects.toMatchObject({ code: 'AUDIO_TOO_LONG' });
    expect((await decode(unknown)).samples).toHaveLength(6_000);
  });
});

describe('whole FLAC', () => {
  it.each(['mono-16', 'stereo-24', 'mono-8'])('%s decodes to the samples of its WAV, bit for bit', async (name) => {
    const flac = await decode(read(`${name}.flac`));
    const wav = decodeWav(read(`${name}.wav`), limits);
    expect(flac.sampleRateHz).toBe(wav.sampleRateHz);
    expect(Buffer.from(flac.samples.buffer).equals(Buffer.from(wav.samples.buffer))).toBe(true);
  });

  it('has its STREAMINFO read', () => {
    expect(parseStreamInfo(read('stereo-24.flac'))).toMatchObject({ sampleRateHz: 16_000, channels: 2, bits: 24, totalSamples: 3_000 });
  });

  it('gives the tiles of its WAV', async () => {
    const settings = featureSettings();
    const flac = await extractFeatures(read('mono-16.flac'), settings, { silence: 'none' });
    const wav = await extractFeatures(read('mono-16.wav'), settings, { silence: 'none' });
    expect(Buffer.from(flac.tiles).equals(Buffer.from(wav.tiles))).toBe(true);
    expect(flac.decoder).toContain('flac');
  });
});
