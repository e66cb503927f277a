/**
 * `top-db` against librosa.effects.trim and split 0.11, to the last sample; `silero` against the same model in Python, its
 * probabilities within 0.001 (make-silence-golden.py). The latter only where SILERO_DIR has its packages, as in CI.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeWav } from '../../../libs/audio/src/decode/decode-wav.js';
import { speechByTopDb } from '../../../libs/audio/src/silence/silence-top-db.js';
import { speechBySilero, speechProbabilities } from '../../../libs/audio/src/silence/silence-silero.js';
import { trimSilence } from '../../../libs/audio/src/silence/trim-silence.js';

const read = (name: string) => new Uint8Array(readFileSync(new URL(name, import.meta.url)));
const cases = JSON.parse(Buffer.from(read('silence-top-db.json')).toString()) as {
  file: string;
  top_db: number;
  trim: [number, number];
  split: [number, number][];
}[];

/** Half a second of silence before, between and behind two halves, as the script made it. */
function withSilence(file: string): { samples: Float32Array; rateHz: number } {
  const { samples: speech, sampleRateHz: rateHz } = decodeWav(read(file), { maxDurationSec: 60, decoder: '' });
  const half = Math.floor(speech.length / 2);
  const gap = Math.floor(rateHz / 2);
  const samples = new Float32Array(speech.length + 3 * gap);
  samples.set(speech.subarray(0, half), gap);
  samples.set(speech.subarray(half), half + 2 * gap);
  return { samples, rateHz };
}

describe.each(cases)('$file at $top_db dB', ({ file, top_db, trim, split }) => {
  const { samples, rateHz } = withSilence(file);
  const kept = async (profile: 'ends' | 'all') =>
    (await trimSilence(samples, rateHz, profile, speechByTopDb(top_db))).kept.map(({ start, end }) => [start, end]);

  it('is split like librosa', async () => expect(await kept('all')).toEqual(split));
  it('is trimmed like librosa', async () => expect(await kept('ends')).toEqual([trim]));
});

const sileroDir = process.env['SILERO_DIR'];
describe.skipIf(!sileroDir)('silero', () => {
  it('hears what the same model hears in Python', async () => {
    const { probabilities } = JSON.parse(Buffer.from(read('silence-silero.json')).toString()) as { probabilities: number[] };
    const { samples } = withSilence('speech-whole-16000.wav');
    const ours = await speechProbabilities(samples, sileroDir);
    expect(ours).toHaveLength(probabilities.length);
    for (const [window, expected] of probabilities.entries()) expect(Math.abs((ours[window] as number) - expected)).toBeLessThan(1e-3);
  });

  it.each([16_000, 44_100])('cuts the silence around speech at %i Hz, and the pause in it', async (rate) => {
    const { samples, rateHz } = withSilence(`speech-${rate}.wav`);
    const { kept, cut } = await trimSilence(samples, rateHz, 'ends', await speechBySilero(sileroDir));
    expect(kept).toHaveLength(1);
    expect(Math.abs(cut.leadingSec - 0.5)).toBeLessThan(0.2);
    expect(Math.abs(cut.trailingSec - 0.5)).toBeLessThan(0.2);
    expect((await trimSilence(samples, rateHz, 'all', await speechBySilero(sileroDir))).cut.insideSec).toBeGreaterThan(0.3);
  });

  it('takes noise that is louder than speech for none', async () => {
    const noise = Float32Array.from({ length: 32_000 }, (_, i) => 0.3 * Math.sin(i * i * 0.37));
    expect((await trimSilence(noise, 16_000, 'ends', await speechBySilero(sileroDir))).kept).toEqual([]);
  });
});
