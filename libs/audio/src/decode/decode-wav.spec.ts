import { describe, expect, it } from 'vitest';
import { decodeWav, parseWav } from './decode-wav.js';
import { encodeWav } from './encode-wav.js';

const limits = { maxDurationSec: 600, decoder: 'wav under test' };
const ramp = Float32Array.from({ length: 1000 }, (_, i) => (i - 500) / 512);
const wav = (bits: 8 | 16 | 24 | 32 | 64 = 16, float = false) => encodeWav([ramp], { sampleRateHz: 16_000, bits, float });
const failure = (bytes: Uint8Array, limit = limits) => {
  try {
    decodeWav(bytes, limit);
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return 'no error';
};
const view = (bytes: Uint8Array) => new DataView(bytes.buffer);
const concat = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
const text = (value: string) => new TextEncoder().encode(value);

describe('WAV with a wrong header or a cut', () => {
  it('with fewer samples than its header says is AUDIO_TRUNCATED', () => {
    expect(failure(wav().subarray(0, 1044))).toBe('AUDIO_TRUNCATED');
    expect(failure(wav().subarray(0, 30))).toBe('AUDIO_TRUNCATED');
  });

  it('without a WAV header is AUDIO_NOT_RECOGNISED', () => {
    expect(failure(text('RIFFS ARE FUN TO PLAY'))).toBe('AUDIO_NOT_RECOGNISED');
    expect(failure(new Uint8Array(3))).toBe('AUDIO_NOT_RECOGNISED');
  });

  it('without samples is AUDIO_EMPTY', () => {
    expect(failure(encodeWav([new Float32Array(0)], { sampleRateHz: 16_000 }))).toBe('AUDIO_EMPTY');
    expect(failure(wav().subarray(0, 36))).toBe('AUDIO_EMPTY');
  });

  it('without samples but with a chunk after its data is AUDIO_EMPTY, not read as sound', () => {
    const empty = concat(encodeWav([new Float32Array(0)], { sampleRateHz: 16_000 }), text('LIST'), Uint8Array.of(4, 0, 0, 0), text('INFO'));
    view(empty).setUint32(4, empty.length - 8, true);
    expect(failure(empty)).toBe('AUDIO_EMPTY');
  });

  it.each([
    ['no channels', 22],
    ['no rate', 24],
    ['no bits', 34],
  ])('with %s is AUDIO_UNDECODABLE', (_what, offset) => {
    const bytes = wav();
    view(bytes).setUint16(offset, 0, true);
    expect(failure(bytes)).toBe('AUDIO_UNDECODABLE');
  });

  it('longer than allowed is AUDIO_TOO_LONG', () => {
    expect(failure(wav(), { ...limits, maxDurationSec: 0.05 })).toBe('AUDIO_TOO_LONG');
  });

  it.each([0, 0xffffffff, 0x7ffff000])('with a streamed length of %i goes to the end of the file', (length) => {
    const bytes = wav();
    view(bytes).setUint32(4, 0xffffffff, true);
    view(bytes).setUint32(40, length, true);
    expect(decodeWav(bytes, limits).samples).toHaveLength(1000);
  });
});

describe('WAV of every kind', () => {
  it.each([
    [8, false],
    [16, false],
    [24, false],
    [32, false],
    [32, true],
    [64, true],
  ] as const)('of %i bits (float: %s) gives its samples back', (bits, float) => {
    const { samples, sampleRateHz } = decodeWav(wav(bits, float), limits);
    expect(sampleRateHz).toBe(16_000);
    const step = float ? 0 : 2 ** -bits;
    for (let i = 0; i < ramp.length; i++) expect(Math.abs((samples[i] as number) - (ramp[i] as number))).toBeLessThanOrEqual(step);
  });

  it('reaches -1 but not 1', () => {
    const { samples } = decodeWav(encodeWav([Float32Array.of(-1, 1)], { sampleRateHz: 16_000, bits: 24 }), limits);
    expect([...samples]).toEqual([-1, 1 - 2 ** -23]);
  });

  it('with several channels gives their mean', () => {
    const stereo = encodeWav([Float32Array.of(0.5, 0.25), Float32Array.of(-0.5, 0.75)], { sampleRateHz: 8_000 });
    expect([...decodeWav(stereo, limits).samples]).toEqual([0, 0.5]);
  });

  it('with chunks of odd length before its data is decoded', () => {
    const plain = wav();
    const chunk = concat(text('LIST'), Uint8Array.of(3, 0, 0, 0), text('abc'), Uint8Array.of(0));
    const bytes = concat(plain.subarray(0, 12), chunk, plain.subarray(12));
    expect(decodeWav(bytes, limits).samples).toHaveLength(1000);
  });

  it('with an extensible header has the format of its sub-format', () => {
    const plain = wav(32, true);
    const format = new Uint8Array(48);
    format.set(plain.subarray(12, 36));
    format[4] = 40;
    view(format).setUint16(8, 0xfffe, true);
    view(format).setUint16(32, 3, true);
    const bytes = concat(plain.subarray(0, 12), format, plain.subarray(36));
    expect(parseWav(bytes)).toMatchObject({ encoding: 'float', bytesPerSample: 4, sampleCount: 1000 });
  });

  it('with 20 bits in 24 is read with the size of its container', () => {
    const bytes = wav(24);
    view(bytes).setUint16(34, 20, true);
    expect(decodeWav(bytes, limits).samples[0]).toBeCloseTo(ramp[0] as number, 5);
  });

  it('in 64-bit form takes its length from ds64 and checks it', () => {
    const plain = wav();
    const ds64 = concat(text('ds64'), Uint8Array.of(28, 0, 0, 0), new Uint8Array(28));
    view(ds64).setBigUint64(16, 2000n, true);
    const bytes = concat(plain.subarray(0, 12), ds64, plain.subarray(12));
    bytes.set(text('RF64'));
    view(bytes).setUint32(40 + 36, 0xffffffff, true);
    expect(decodeWav(bytes, limits).samples).toHaveLength(1000);
    expect(failure(bytes.subarray(0, 500))).toBe('AUDIO_TRUNCATED');
  });

  it('with A-law has the encoding `other`', () => {
    const bytes = wav(8);
    view(bytes).setUint16(20, 6, true);
    expect(parseWav(bytes).encoding).toBe('other');
    expect(failure(bytes)).toBe('AUDIO_UNDECODABLE');
  });
});
