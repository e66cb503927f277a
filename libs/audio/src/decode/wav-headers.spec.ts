/** WAV headers with contradictory fields, compared with the results of libsndfile, ffmpeg and sox for the same files. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeWav } from './decode-wav.js';

type Answer = [sampleCount: number, weightedSum: number] | null;
type Row = [tag: number, channels: number, byteRate: number, blockAlign: number, bits: number, validBits: number, answer: Answer];

const { rows } = JSON.parse(readFileSync(new URL('../../../../test/golden/audio/wav-headers.json', import.meta.url), 'utf8')) as {
  rows: Row[];
};
const EXTENSIBLE = 0x10000;
const BODY_BYTES = 960;

/** The bytes that make-wav-headers.py puts after the header. */
function body(tag: number, bits: number): Buffer {
  if ((tag & 0xffff) !== 3) return Buffer.from(Array.from({ length: BODY_BYTES }, (_, i) => (i * i * 31 + i * 7) & 255));
  const value = (_: unknown, i: number) => ((i * 37) % 101) / 256 - 0.2;
  const floats = bits === 64 ? Float64Array.from({ length: BODY_BYTES / 8 }, value) : Float32Array.from({ length: BODY_BYTES / 4 }, value);
  return Buffer.from(floats.buffer);
}

function wav([tag, channels, byteRate, blockAlign, bits, validBits]: Row): Uint8Array {
  const extensible = (tag & EXTENSIBLE) !== 0;
  const data = body(tag, bits);
  const head = Buffer.alloc(extensible ? 68 : 44);
  head.write('RIFF', 0, 'latin1');
  head.writeUInt32LE(head.length - 8 + data.length, 4);
  head.write('WAVEfmt ', 8, 'latin1');
  head.writeUInt32LE(head.length - 28, 16);
  head.writeUInt16LE(extensible ? 0xfffe : tag, 20);
  head.writeUInt16LE(channels, 22);
  head.writeUInt32LE(16_000, 24);
  head.writeUInt32LE(byteRate, 28);
  head.writeUInt16LE(blockAlign, 32);
  head.writeUInt16LE(bits, 34);
  if (extensible) {
    head.writeUInt16LE(22, 36);
    head.writeUInt16LE(validBits, 38);
    head.writeUInt16LE(tag & 0xffff, 44);
    head.write('000000001000800000aa00389b71', 46, 'hex');
  }
  head.write('data', head.length - 8, 'latin1');
  head.writeUInt32LE(data.length, head.length - 4);
  return new Uint8Array(Buffer.concat([head, data]));
}

function answerOf(row: Row): Answer | string {
  try {
    const { samples } = decodeWav(wav(row), { maxDurationSec: 600, decoder: '' });
    return [samples.length, samples.reduce((sum, sample, i) => sum + sample * ((i % 7) + 1), 0)];
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

describe('a WAV header with contradictory fields', () => {
  it('is read like the reference decoders read it, and refused if they differ', () => {
    expect(rows.length).toBeGreaterThan(500);
    for (const row of rows) {
      const [answer, expected] = [answerOf(row), row[6]];
      if (expected === null) expect({ row, answer }).toEqual({ row, answer: 'AUDIO_UNDECODABLE' });
      else expect({ row, answer }).toEqual({ row, answer: [expected[0], expect.closeTo(expected[1], 2)] });
    }
  });

  it('with 24 bits in blocks of four bytes is refused, and the error names both fields', () => {
    const decoding = () => decodeWav(wav([1, 1, 48_000, 4, 24, -1, null]), { maxDurationSec: 600, decoder: '' });
    expect(decoding).toThrow(/wBitsPerSample says 24 and nBlockAlign says 4/);
  });

  it('with more valid bits than bits is refused, and the error names both fields', () => {
    const decoding = () => decodeWav(wav([EXTENSIBLE | 1, 1, 32_000, 2, 16, 24, null]), { maxDurationSec: 600, decoder: '' });
    expect(decoding).toThrow(/wBitsPerSample says 16 and wValidBitsPerSample says 24/);
  });

  it.each([1, 2, 3, 4, 16, 0])('with 16 bits and an nBlockAlign of %i loses no sample', (blockAlign) => {
    expect(answerOf([1, 1, 32_000, blockAlign, 16, -1, null])).toEqual([480, expect.any(Number)]);
  });
});
