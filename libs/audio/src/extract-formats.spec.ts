/** One second of speech in every container, width and number of channels gives the same pixels, unless the format is lossy. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeWav } from './decode/decode-wav.js';
import { encodeWav, type EncodeWavOptions } from './decode/encode-wav.js';
import { extractFeatures } from './extract-features.js';
import { featureSettings } from './feature-settings.js';
import { chooseFfmpeg } from './decode/ffmpeg-config.js';

const RATES = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000];
const settings = featureSettings();
const ffmpeg = chooseFfmpeg();
const speechAt = (rateHz: number): Float32Array => {
  const file = readFileSync(new URL(`../../../test/golden/audio/speech-${rateHz}.wav`, import.meta.url));
  return decodeWav(file, { maxDurationSec: 10, decoder: '' }).samples;
};
const tilesOf = async (bytes: Uint8Array) => (await extractFeatures(bytes, settings, { silence: 'none', ffmpeg })).tiles;
const channels = (samples: Float32Array, count: number) => Array.from({ length: count }, () => samples);
const chunk = (id: string, body: Uint8Array) => {
  const bytes = Buffer.alloc(8 + body.length + (body.length % 2));
  bytes.write(id, 'latin1');
  bytes.writeUInt32LE(body.length, 4);
  bytes.set(body, 8);
  return bytes;
};
const [FMT_AT, DATA_AT] = [12, 36];

/** WAVE_FORMAT_EXTENSIBLE: the plain format's tag at the head of a GUID. */
function extensible(wav: Uint8Array): Uint8Array {
  const format = Buffer.alloc(40);
  format.set(wav.subarray(FMT_AT + 8, FMT_AT + 24));
  format.writeUInt16LE(0xfffe, 0);
  format.writeUInt16LE(22, 16);
  format.writeUInt16LE(format.readUInt16LE(14), 18);
  format.set(wav.subarray(FMT_AT + 8, FMT_AT + 10), 24);
  format.set(Buffer.from('000000001000800000aa00389b71', 'hex'), 26);
  return Buffer.concat([wav.subarray(0, FMT_AT), chunk('fmt ', format), wav.subarray(DATA_AT)]);
}

/** Lengths of more than 32 bits, in a chunk of their own. */
function rf64(wav: Uint8Array): Uint8Array {
  const sizes = Buffer.alloc(28);
  sizes.writeBigUInt64LE(BigInt(wav.length + 36 - 8), 0);
  sizes.writeBigUInt64LE(BigInt(wav.length - DATA_AT - 8), 8);
  const bytes = Buffer.concat([wav.subarray(0, FMT_AT), chunk('ds64', sizes), wav.subarray(FMT_AT)]);
  bytes.write('RF64', 0);
  bytes.writeUInt32LE(0xffffffff, 4);
  bytes.writeUInt32LE(0xffffffff, FMT_AT + 36 + DATA_AT - FMT_AT + 4);
  return bytes;
}

const oddChunks = (wav: Uint8Array) =>
  Buffer.concat([
    wav.subarray(0, FMT_AT),
    chunk('LIST', Buffer.from('INFOISFT\x05\0\0\0odd')),
    wav.subarray(FMT_AT, DATA_AT),
    chunk('bext', Buffer.alloc(603, 1)),
    wav.subarray(DATA_AT),
    chunk('cue ', Buffer.alloc(7)),
  ]);

function streamedLength(wav: Uint8Array): Uint8Array {
  const bytes = Buffer.from(wav);
  bytes.writeUInt32LE(0xffffffff, DATA_AT + 4);
  return bytes;
}

describe.each(RATES)('speech at %i Hz', (rateHz) => {
  const speech = speechAt(rateHz);
  const wav = (options: Partial<EncodeWavOptions> = {}, count = 1) =>
    encodeWav(channels(speech, count), { sampleRateHz: rateHz, ...options });
  const expected = tilesOf(wav());
  /** Faster than `toEqual`, which takes half a second for each. */
  const isAsExpected = async (bytes: Uint8Array) => Buffer.from(await tilesOf(bytes)).equals(await expected);

  it.each([1, 2, 6])('with %i channels has the same pixels in 16, 24, 32 bits and floats of 32 and 64', async (count) => {
    for (const options of [{ bits: 16 }, { bits: 24 }, { bits: 32 }, { bits: 32, float: true }, { bits: 64, float: true }] as const) {
      expect(await isAsExpected(wav(options, count))).toBe(true);
    }
  });

  it('in 8 bits has the same pixels as its steps in 16 bits', async () => {
    const steps = speech.map((sample) => Math.round(sample * 128) / 128);
    const of = (bits: 8 | 16) => tilesOf(encodeWav([steps], { sampleRateHz: rateHz, bits }));
    expect(await of(8)).toEqual(await of(16));
  });

  it.each([
    ['WAVE_FORMAT_EXTENSIBLE', extensible],
    ['RF64', rf64],
    ['other chunks, of odd lengths', oddChunks],
    ['a length that its writer did not know', streamedLength],
  ])('with %s has the same pixels', async (_what, rewrite) => {
    for (const [bits, count] of [
      [16, 1],
      [24, 6],
      [32, 2],
    ] as const) {
      expect(await isAsExpected(rewrite(wav({ bits }, count)))).toBe(true);
    }
  });

  it('with a data chunk that states more than the file holds is refused', async () => {
    const lying = Buffer.from(wav());
    lying.writeUInt32LE(lying.readUInt32LE(DATA_AT + 4) + 100, DATA_AT + 4);
    await expect(tilesOf(lying)).rejects.toMatchObject({ code: 'AUDIO_TRUNCATED' });
  });

  it('has the same pixels with a data chunk that states two bytes more than the whole file has', async () => {
    const lying = Buffer.from(wav());
    lying.writeUInt32LE(lying.readUInt32LE(DATA_AT + 4) + 2, DATA_AT + 4);
    expect(await isAsExpected(lying)).toBe(true);
  });

  describe.skipIf(!ffmpeg)('encoded by ffmpeg', () => {
    const folder = mkdtempSync(join(tmpdir(), 'undertone-formats-'));
    const encode = (input: Uint8Array, name: string, ...args: string[]): Uint8Array => {
      const path = join(folder, name);
      const { status, stderr } = spawnSync(ffmpeg?.path ?? '', ['-v', 'error', '-y', '-f', 'wav', '-i', '-', ...args, path], { input });
      if (status !== 0) throw new Error(stderr.toString());
      const bytes = new Uint8Array(readFileSync(path));
      rmSync(path);
      return bytes;
    };

    it('has the same pixels as FLAC of 16 and 24 bits, with one, two and six channels', async () => {
      for (const count of [1, 2, 6]) {
        expect(await isAsExpected(encode(wav({}, count), 'a.flac', '-sample_fmt', 's16'))).toBe(true);
        expect(await isAsExpected(encode(wav({ bits: 24 }, count), 'a.flac', '-sample_fmt', 's32'))).toBe(true);
      }
    });

    it.each([
      ['mp3', 'a.mp3', ['-b:a', '64k']],
      ['ogg', 'a.ogg', ['-c:a', 'libvorbis', '-q:a', '6']],
      ['opus', 'a.opus', ['-c:a', 'libopus', '-b:a', '64k']],
      ['m4a', 'a.m4a', ['-c:a', 'aac', '-b:a', '96k']],
    ])('as %s lies at the same place, and near in level', async (_format, name, args) => {
      const tiles = await tilesOf(encode(wav(), name, ...args));
      const whole = await expected;
      const errors = [-3, -2, -1, 0, 1, 2, 3].map((shift) => meanError(whole, tiles, shift));
      expect(errors.indexOf(Math.min(...errors)) - 3).toBe(0); // the decoder removed the delay of the codec
      expect(errors[3]).toBeLessThan(12);
    });
  });
});

/** Mean error in pixels of 0.3 dB, over sound up to 3 kHz that is loud enough for a codec to keep. @param shift frames that `other` is late */
function meanError(tiles: Uint8Array, other: Uint8Array, shift: number): number {
  let [sum, count] = [0, 0];
  for (let row = 0; row < 35; row++) {
    for (let frame = 3; frame < 90; frame++) {
      const at = row * settings.width + frame;
      if ((tiles[at] as number) < 120) continue;
      sum += Math.abs((tiles[at] as number) - (other[at + shift] as number));
      count++;
    }
  }
  return sum / count;
}
