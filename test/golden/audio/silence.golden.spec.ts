/** `top-db` against librosa.effects.trim and split 0.11 (make-silence-golden.py): the same samples, to the last one. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeWav } from '../../../libs/audio/src/decode-wav.js';
import { speechByTopDb } from '../../../libs/audio/src/silence-top-db.js';
import { trimSilence } from '../../../libs/audio/src/trim-silence.js';

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
  const kept = (profile: 'ends' | 'all') =>
    trimSilence(samples, rateHz, profile, speechByTopDb(top_db)).kept.map(({ start, end }) => [start, end]);

  it('is split like librosa', () => expect(kept('all')).toEqual(split));
  it('is trimmed like librosa', () => expect(kept('ends')).toEqual([trim]));
});
