import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ravdessReader } from '#corpora/ravdess-reader.js';
import { encodeWav } from './decode/encode-wav.js';
import { extractFeatures } from './extract-features.js';
import { featureSettings } from './feature-settings.js';

const settings = featureSettings();
const tone = (seconds: number, amplitude = 0.3, rateHz = 16_000) =>
  Float32Array.from({ length: Math.round(seconds * rateHz) }, (_, i) => amplitude * Math.sin((2 * Math.PI * 500 * i) / rateHz));
const wav = (samples: Float32Array, rateHz = 16_000, bits: 16 | 32 = 16) =>
  encodeWav([samples], { sampleRateHz: rateHz, bits, float: bits === 32 });
const extract = (bytes: Uint8Array, silence: 'none' | 'ends' | 'all' = 'none') => extractFeatures(bytes, settings, { silence });

describe('audio without speech', () => {
  it('of zeros, or of a constant offset, is AUDIO_SILENT', async () => {
    await expect(extract(wav(new Float32Array(16_000)))).rejects.toMatchObject({ code: 'AUDIO_SILENT' });
    await expect(extract(wav(new Float32Array(16_000).fill(0.1)))).rejects.toMatchObject({ code: 'AUDIO_SILENT' });
  });

  it('with a peak below -70 dBFS is AUDIO_SILENT, and just above it is not', async () => {
    await expect(extract(wav(tone(1, 0.0003), 16_000, 32))).rejects.toMatchObject({ code: 'AUDIO_SILENT' });
    expect((await extract(wav(tone(1, 0.00033), 16_000, 32))).count).toBe(1);
  });

  it('is AUDIO_SILENT if trimming leaves nothing', async () => {
    const click = new Float32Array(16_000);
    click[8_000] = 0.9;
    await expect(extract(wav(click), 'ends')).rejects.toMatchObject({ code: 'AUDIO_SILENT' });
  });
});

describe('audio of every length', () => {
  it('under one window is AUDIO_TOO_SHORT', async () => {
    await expect(extract(wav(tone(399 / 16_000)))).rejects.toMatchObject({ code: 'AUDIO_TOO_SHORT' });
    expect((await extract(wav(tone(400 / 16_000)))).frames).toBe(3);
  });

  it('over the limit is AUDIO_TOO_LONG', async () => {
    const short = featureSettings({ maxDurationSec: 1 });
    await expect(extractFeatures(wav(tone(1.1)), short, { silence: 'none' })).rejects.toMatchObject({ code: 'AUDIO_TOO_LONG' });
  });

  it('reports seconds, frames, tiles and the silence that was cut', async () => {
    const quiet = Float32Array.from({ length: 16_000 }, (_, i) => 0.0005 * Math.sin(i * i));
    const samples = Float32Array.from([...quiet, ...tone(4), ...quiet.subarray(0, 8_000)]);
    const features = await extract(wav(samples), 'ends');
    expect(features).toMatchObject({ audioSec: 5.5, sampleRateHz: 16_000, count: 2, decoder: 'undertone-wav 3' });
    expect(features.cut.leadingSec).toBeGreaterThan(0.9);
    expect(features.cut.trailingSec).toBeGreaterThan(0.4);
    expect(features.keptSec + features.cut.leadingSec + features.cut.trailingSec).toBeCloseTo(5.5, 6);
    expect(features.frames).toBe(1 + Math.floor(Math.ceil(features.keptSec * 22_000 - 1e-6) / 220));
    expect(features.tiles).toHaveLength(2 * 32_768);
  });
});

describe('tiles', () => {
  it('are the same for the same bytes', async () => {
    const bytes = wav(tone(3));
    const [first, second] = [await extract(bytes, 'ends'), await extract(bytes, 'ends')];
    expect(Buffer.from(first.tiles).equals(Buffer.from(second.tiles))).toBe(true);
  });

  it('do not depend on a constant offset', async () => {
    const samples = Float32Array.from({ length: 32_000 }, (_, i) => Math.sin(i * i * 0.01) / 4);
    const plain = await extract(wav(samples, 16_000, 32));
    const offset = await extract(
      wav(
        samples.map((value) => value + 0.02),
        16_000,
        32,
      ),
    );
    const far = plain.tiles.filter((pixel, i) => Math.abs(pixel - (offset.tiles[i] as number)) > 1);
    expect(far).toHaveLength(0);
  });

  it('of one tone are alike at every rate', async () => {
    for (const rateHz of [8_000, 16_000, 22_050, 24_000, 44_100, 48_000]) {
      const { tiles } = await extract(wav(tone(3, 0.3, rateHz), rateHz));
      const lit = Array.from({ length: 128 }, (_, row) => tiles[row * 256 + 100] as number);
      expect(lit.indexOf(Math.max(...lit))).toBe(Math.floor(((500 / 22_000) * 1024 - 1) / 4));
    }
  });
});

describe('a pause of seconds in a recording', () => {
  const quiet = (seconds: number) => Float32Array.from({ length: seconds * 16_000 }, (_, i) => 0.0005 * Math.sin(i * 1.7));
  const withPause = wav(Float32Array.from([...tone(2.6), ...quiet(6), ...tone(2.6)]));

  it.each(['none', 'ends'] as const)('gives no black tiles, cut by %s', async (silence) => {
    const { count, leftOut, tiles } = await extract(withPause, silence);
    expect(count).toBeGreaterThanOrEqual(2);
    expect(leftOut['little speech']).toBeGreaterThanOrEqual(1);
    const brightest = Array.from({ length: count }, (_, tile) =>
      tiles.subarray(tile * 32_768, (tile + 1) * 32_768).reduce((a, b) => Math.max(a, b)),
    );
    expect(Math.min(...brightest)).toBeGreaterThan(200);
  });

  it('stays where minSpeechShare is 0', async () => {
    const all = await extractFeatures(withPause, featureSettings({ minSpeechShare: 0 }), { silence: 'none' });
    expect([all.count, all.leftOut]).toEqual([5, {}]);
  });
});

const corpora = process.env['UNDERTONE_CORPORA'];
describe.skipIf(!corpora)('recordings of real people (UNDERTONE_CORPORA)', () => {
  const actor = join(corpora ?? '', 'ravdess', 'Actor_01');
  const takes = corpora ? readdirSync(actor).sort().slice(0, 12) : [];

  it('of RAVDESS give hardly more than one tile a take once its silence is cut, and each holds speech', async () => {
    let [whole, cut] = [0, 0];
    for (const take of takes) {
      const bytes = new Uint8Array(readFileSync(join(actor, take)));
      whole += (await extractFeatures(bytes, featureSettings({ minSpeechShare: 0 }), { silence: 'none' })).count;
      const { count, keptSec, cut: silence } = await extract(bytes, ravdessReader.silence);
      cut += count;
      expect(keptSec, take).toBeGreaterThan(0.8);
      expect(silence.leadingSec, take).toBeGreaterThan(0.3);
    }
    expect(whole).toBeGreaterThan(1.8 * takes.length);
    expect(cut).toBeLessThan(1.3 * takes.length);
  });
});
