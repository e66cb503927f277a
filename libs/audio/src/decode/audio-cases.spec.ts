/** Recordings as people have them: the files of test/golden/audio/cases, and one WAV with its bytes edited in many ways. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeAudio } from './decode-audio.js';
import { defaultFeatureSettings } from '../feature-settings.js';
import { chooseFfmpeg } from './ffmpeg-config.js';

const ffmpeg = chooseFfmpeg();
const stored = (name: string) => new Uint8Array(readFileSync(new URL(`../../../../test/golden/audio/cases/${name}`, import.meta.url)));
const plain = stored('plain.wav');
const [HEADER_BYTES, SOUND_BYTES, SAMPLES] = [44, 64_000, 32_000];
const sound = plain.subarray(HEADER_BYTES);

/** @returns the number of samples per channel, or the error code */
async function answerTo(bytes: Uint8Array): Promise<number | string> {
  try {
    return (await decodeAudio(bytes, { ...defaultFeatureSettings, timeoutMs: 30_000, ffmpeg })).samples.length;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

describe.skipIf(!ffmpeg)('a stored case', () => {
  it.each([
    ['plain.wav', SAMPLES],
    ['plain.flac', SAMPLES],
    ['plain.mp3', SAMPLES],
    ['plain.m4a', 32_768],
    ['adpcm.wav', SAMPLES],
    ['alaw-stream-0.wav', SAMPLES],
    ['gsm.wav', SAMPLES],
    ['aiff-named.wav', SAMPLES],
    ['sphere.wav', SAMPLES],
    ['sphere-ulaw.sph', SAMPLES],
    ['wave64.wav', SAMPLES],
    ['mov-no-ftyp.mp4', SAMPLES],
    ['flac-nolen.flac', SAMPLES],
    ['mp3-id3v1-only.mp3', SAMPLES],
    ['mp3-two-id3.mp3', SAMPLES],
    ['mp3-zeros-first.mp3', SAMPLES],
    ['chained.ogg', 96_256],
    ['chained2.ogg', 96_256],
    ['late-audio.m4a', 33_792],
    ['late-audio.webm', 96_000],
    ['chapters.m4a', 32_768],
    ['subtitles.mka', 96_000],
    ['whole.webm', 192_000],
  ])('%s gives %i samples', async (name, samples) => {
    expect(await answerTo(stored(name))).toBe(samples);
  });

  it.each(['gap.ogg', 'gap.webm'])('%s has silence where packets are missing', async (name) => {
    const { samples, sampleRateHz } = await decodeAudio(stored(name), { ...defaultFeatureSettings, timeoutMs: 30_000, ffmpeg });
    expect(samples.length / sampleRateHz).toBeCloseTo(4, 1);
    const silent = samples.subarray(1.5 * sampleRateHz, 2 * sampleRateHz);
    expect(silent.every((sample) => Math.abs(sample) < 1e-3)).toBe(true);
    expect(samples.subarray(3 * sampleRateHz).some((sample) => Math.abs(sample) > 0.05)).toBe(true);
  });
});

const text = (value: string) => Buffer.from(value, 'latin1');
const uint16 = (value: number) => Buffer.from(Uint16Array.of(value).buffer);
const uint32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
const chunk = (id: string, body: Uint8Array, size = body.length) => Buffer.concat([text(id), uint32(size), body]);
const fmt = chunk('fmt ', plain.subarray(20, 36));
const riff = (...chunks: Uint8Array[]) => {
  const body = Buffer.concat([text('WAVE'), ...chunks]);
  return Buffer.concat([text('RIFF'), uint32(body.length), body]);
};
const rf64 = (stated: bigint) => {
  const sizes = Buffer.alloc(28);
  for (const at of [0, 8, 16]) sizes.writeBigInt64LE(stated, at);
  return Buffer.concat([text('RF64'), uint32(0xffffffff), text('WAVE'), chunk('ds64', sizes), fmt, chunk('data', sound, 0xffffffff)]);
};
const edited = (at: number, value: Uint8Array, from: Uint8Array = plain) => {
  const bytes = Buffer.from(from);
  bytes.set(value, at);
  return bytes;
};
const [RIFF_SIZE_AT, BLOCK_ALIGN_AT, DATA_SIZE_AT] = [4, 32, 40];
const sizes = (riffSize: number, dataSize: number) => edited(DATA_SIZE_AT, uint32(dataSize), edited(RIFF_SIZE_AT, uint32(riffSize)));
const whole = plain.length - 8;
const flac = stored('plain.flac');
const tag = Buffer.concat([text('TAG'), Buffer.alloc(125, 'x')]);
const id3 = Buffer.concat([text('ID3\x03\0\0\0\0\0\x0a'), Buffer.alloc(10)]);
const listOfOddLength = text('INFOISFT\x05\0\0\0abcd\0');

describe('the plain WAV or FLAC', () => {
  it.each<[string, Uint8Array, number | string]>([
    ['with an nBlockAlign of 1', edited(BLOCK_ALIGN_AT, uint16(1)), SAMPLES],
    ['with an nBlockAlign of 4', edited(BLOCK_ALIGN_AT, uint16(4)), SAMPLES],
    ['with an nBlockAlign of 16', edited(BLOCK_ALIGN_AT, uint16(16)), SAMPLES],
    ['behind an ID3 tag', Buffer.concat([id3, plain]), SAMPLES],
    ['with data of 16 bytes more than there are', sizes(whole, SOUND_BYTES + 16), SAMPLES],
    ['with data of the RIFF size', sizes(whole, whole), SAMPLES],
    ['with data of 100 bytes more than there are', sizes(whole, SOUND_BYTES + 100), 'AUDIO_TRUNCATED'],
    ['with data and RIFF sizes that are both 16 too large', sizes(whole + 16, SOUND_BYTES + 16), 'AUDIO_TRUNCATED'],
    ['with data of a million seconds', sizes(0x7fffffff, 2_146_435_072), 'AUDIO_TRUNCATED'],
    ['with data of 2 GB less 36', sizes(0x7fffffff, 0x7fffffff - 36), SAMPLES],
    ['with data of 2³¹', sizes(0x80000024, 0x80000000), SAMPLES],
    ['with a data size of 0 and no RIFF size', sizes(0, 0), SAMPLES],
    ['with a data size of 0 and the right RIFF size', sizes(whole, 0), 'AUDIO_EMPTY'],
    ['with bytes after it that are not a chunk', Buffer.concat([plain, Buffer.alloc(1_000, 0x5a)]), SAMPLES],
    ['with a padded LIST of odd length', riff(fmt, chunk('LIST', listOfOddLength), Buffer.alloc(1), chunk('data', sound)), SAMPLES],
    ['with an unpadded LIST of odd length', riff(fmt, chunk('LIST', listOfOddLength), chunk('data', sound)), 'AUDIO_EMPTY'],
    ['with data before fmt', riff(chunk('JUNK', Buffer.alloc(28)), chunk('data', sound), fmt), SAMPLES],
    ['in two data chunks', riff(fmt, chunk('data', sound.subarray(0, 32_000)), chunk('data', sound.subarray(32_000))), SAMPLES / 2],
    ['in a wavl list', riff(fmt, chunk('LIST', Buffer.concat([text('wavl'), chunk('data', sound)]))), 'AUDIO_EMPTY'],
    ['as RF64 with lengths of 0', rf64(0n), SAMPLES],
    ['as RF64 with lengths of -1', rf64(-1n), 'AUDIO_TRUNCATED'],
    ['as integers of 64 bits', edited(34, uint16(64), edited(BLOCK_ALIGN_AT, uint16(8))), 'AUDIO_UNDECODABLE'],
    ['with a rate of 2³¹ - 1 Hz', edited(24, uint32(0x7fffffff)), 'AUDIO_UNDECODABLE'],
    ['with a rate of 10 Hz', edited(24, uint32(10)), 'AUDIO_UNDECODABLE'],
    ['as A-law with a rate of 2³¹ - 1 Hz', edited(24, uint32(0x7fffffff), edited(20, uint16(6))), 'AUDIO_UNDECODABLE'],
    ['as FLAC with an ID3v1 tag behind', Buffer.concat([flac, tag]), SAMPLES],
    ['as FLAC twice', Buffer.concat([flac, flac]), SAMPLES],
    ['as FLAC without a length and with an ID3v1 tag', Buffer.concat([stored('flac-nolen.flac'), tag]), 'AUDIO_UNDECODABLE'],
  ])('%s', async (_what, bytes, answer) => {
    expect(await answerTo(bytes)).toBe(answer);
  });

  it('with 24 valid bits in 32 is decoded', async () => {
    const format = Buffer.alloc(40);
    format.set(plain.subarray(20, 36));
    format.writeUInt16LE(0xfffe, 0);
    format.writeUInt16LE(4, 12);
    format.writeUInt16LE(32, 14);
    format.writeUInt16LE(22, 16);
    format.writeUInt16LE(24, 18);
    format.set(text('\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71'), 24);
    expect(await answerTo(riff(chunk('fmt ', format), chunk('data', sound)))).toBe(SAMPLES / 2);
  });

  it('with a data size a little too large is decoded with a remark; with the right size, without one', async () => {
    const options = { ...defaultFeatureSettings, timeoutMs: 1_000, ffmpeg: null };
    expect((await decodeAudio(sizes(whole, SOUND_BYTES + 16), options)).remark).toMatch(/16 bytes more/);
    expect((await decodeAudio(plain, options)).remark).toBeUndefined();
  });
});

describe('a Git LFS pointer', () => {
  it('is recognised, and the error says what to do', async () => {
    const pointer = text(`version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 72862\n`);
    const decoding = decodeAudio(pointer, { ...defaultFeatureSettings, timeoutMs: 1_000, ffmpeg: null });
    await expect(decoding).rejects.toMatchObject({
      code: 'AUDIO_NOT_RECOGNISED',
      message: expect.stringMatching(/^Git LFS pointer: fetch the content first/),
    });
  });
});
