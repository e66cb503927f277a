/**
 * FLAC made by the `flac` tool, compared with the WAV that the tool decodes it to (fixtures/make-flac.py); streams written here
 * bit by bit, for forms that the tool never writes; and damage of every kind.
 */
import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeFlac, parseStreamInfo } from './decode-flac.js';
import { decodeWav } from '../decode/decode-wav.js';
import { seededRandom } from '#evaluation/seeded-random.js';

const limits = { maxDurationSec: 600, decoder: 'flac under test' };
const folder = new URL('../../fixtures/', import.meta.url);
const read = (name: string) => new Uint8Array(readFileSync(new URL(name, folder)));
const fixtures = globSync('*.flac', { cwd: folder }).sort();
const decode = async (bytes: Uint8Array) => (await decodeFlac(bytes, limits)).samples;
const concat = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

function sameFloats(a: Float32Array, b: Float32Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));
}

/** The result in a word. Fails on any result but samples or a PipelineError. */
async function outcome(bytes: Uint8Array, options = limits): Promise<string> {
  try {
    await decodeFlac(bytes, options);
    return 'decoded';
  } catch (error) {
    expect(error).toMatchObject({ name: 'PipelineError', code: expect.stringMatching(/^AUDIO_/) });
    return (error as { code: string }).code;
  }
}

/** Numbers in [0, 2^32), the same in each run. */
function randomNumbers(seed: number): () => number {
  const random = seededRandom(seed);
  return () => random() * 2 ** 32;
}

class BitWriter {
  private readonly bits: number[] = [];

  /** Writes a value below 2^53 or, as two's complement, below 0. */
  put(value: number, width: number): this {
    for (let i = width - 1; i >= 0; i--) this.bits.push(Number((BigInt(value) >> BigInt(i)) & 1n));
    return this;
  }

  rice(value: number, parameter: number): this {
    const folded = value < 0 ? -2 * value - 1 : 2 * value;
    for (let i = 0; i < folded >>> parameter; i++) this.put(0, 1);
    return this.put(1, 1).put(folded & (2 ** parameter - 1), parameter);
  }

  get bytes(): Uint8Array {
    const padded = [...this.bits, ...new Array<number>((8 - (this.bits.length % 8)) % 8).fill(0)];
    return Uint8Array.from({ length: padded.length / 8 }, (_, i) => Number.parseInt(padded.slice(8 * i, 8 * i + 8).join(''), 2));
  }
}

function crc(bytes: Uint8Array, width: number, polynomial: number): number {
  let value = 0;
  for (const byte of bytes) {
    value ^= byte << (width - 8);
    for (let i = 0; i < 8; i++) value = (value & (1 << (width - 1)) ? (value << 1) ^ polynomial : value << 1) & (2 ** width - 1);
  }
  return value;
}

interface Header {
  rate?: number;
  channels?: number;
  bits?: number;
  total?: number;
}

function streamInfo({ rate = 16_000, channels = 1, bits = 16, total = 0 }: Header = {}): Uint8Array {
  const block = new BitWriter().put(16, 16).put(65_535, 16).put(0, 48).put(rate, 20);
  block
    .put(channels - 1, 3)
    .put(bits - 1, 5)
    .put(total, 36)
    .put(0, 64)
    .put(0, 64);
  return concat(new TextEncoder().encode('fLaC'), Uint8Array.of(0x80, 0, 0, 34), block.bytes);
}

interface FrameCodes {
  /** The number as it is coded; one byte up to 127. */
  number?: number[];
  variable?: boolean;
  /** Code, and the bits at the end of the header that it may require: value and width. */
  size?: [number, number, number];
  rate?: [number, number, number];
  channels?: number;
  bits?: number;
  reserved?: number;
}

/** A frame with the output of `subframes` and both CRCs right. */
function frame(codes: FrameCodes, subframes: (body: BitWriter) => BitWriter): Uint8Array {
  const { number = [0], variable = false, size = [6, 3, 8], rate = [0, 0, 0], channels = 0, bits = 0, reserved = 0 } = codes;
  const head = new BitWriter().put(0x7ffc, 15).put(Number(variable), 1).put(size[0], 4).put(rate[0], 4);
  head.put(channels, 4).put(bits, 3).put(reserved, 1);
  for (const byte of number) head.put(byte, 8);
  head.put(size[1], size[2]).put(rate[1], rate[2]);
  const header = concat(head.bytes, Uint8Array.of(crc(head.bytes, 8, 0x07)));
  const whole = concat(header, subframes(new BitWriter()).bytes);
  return concat(whole, new BitWriter().put(crc(whole, 16, 0x8005), 16).bytes);
}

const constant =
  (value: number, width = 16) =>
  (body: BitWriter) =>
    body.put(0, 8).put(value, width);
const integers = (samples: Float32Array) => [...samples].map((sample) => sample * 32_768);

describe('FLAC by the flac tool', () => {
  it.each(fixtures)('%s decodes to the samples of its WAV, bit for bit', async (name) => {
    const wav = decodeWav(read(`${name.startsWith('levels') ? 'levels' : name.replace('.flac', '')}.wav`), limits);
    const flac = await decodeFlac(read(name), limits);
    expect(flac.sampleRateHz).toBe(wav.sampleRateHz);
    expect(flac.samples.length).toBe(wav.samples.length);
    expect(sameFloats(flac.samples, wav.samples)).toBe(true);
  });

  it('covers every level, width and number of channels', () => {
    const shapes = fixtures.map((name) => parseStreamInfo(read(name)));
    expect(fixtures.filter((name) => name.startsWith('levels'))).toHaveLength(9);
    expect(new Set(shapes.map(({ bits }) => bits))).toEqual(new Set([8, 12, 16, 20, 24, 32]));
    expect(new Set(shapes.map(({ channels }) => channels))).toEqual(new Set([1, 2, 6, 8]));
    expect(parseStreamInfo(read('unknown-length.flac'))).toMatchObject({ totalSamples: 0, md5: '' });
  });

  const samples = globSync('samples/**/*.flac', { cwd: new URL('../../../../', import.meta.url) });
  it.skipIf(samples.length === 0)('in the committed samples decodes with its MD5', async () => {
    for (const path of samples) {
      const bytes = new Uint8Array(readFileSync(new URL(`../../../../${path}`, import.meta.url)));
      const { totalSamples, md5 } = parseStreamInfo(bytes);
      expect(md5, path).not.toBe('');
      expect((await decode(bytes)).length, path).toBe(totalSamples);
    }
  });

  it('may have an ID3v2 tag in front, and any bytes after its last sample', async () => {
    const plain = read('mono-8.flac');
    const tag = Uint8Array.of(0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 1, 2, ...new Array<number>(130).fill(0x66));
    expect(sameFloats(await decode(concat(tag, plain)), await decode(plain))).toBe(true);
    expect(parseStreamInfo(concat(tag, plain))).toEqual(parseStreamInfo(plain));
    expect(sameFloats(await decode(concat(plain, new TextEncoder().encode('TAG'), new Uint8Array(125))), await decode(plain))).toBe(true);
  });

  it('may lie anywhere in its buffer, which stays unchanged', async () => {
    const plain = read('wasted.flac');
    const within = concat(new Uint8Array(3).fill(0xff), plain, new Uint8Array(50).fill(0xff));
    const before = within.slice();
    expect(sameFloats(await decode(within.subarray(3, 3 + plain.length)), await decode(plain))).toBe(true);
    expect(Buffer.from(within).equals(Buffer.from(before))).toBe(true);
  });
});

describe('FLAC written by hand', () => {
  it.each([
    [1, 0, 0, 192],
    [2, 0, 0, 576],
    [5, 0, 0, 4_608],
    [6, 0, 8, 1],
    [6, 255, 8, 256],
    [7, 65_534, 16, 65_535],
    [8, 0, 0, 256],
    [15, 0, 0, 32_768],
  ])('with block size code %i (%i in %i bits) has %i samples', async (code, value, width, expected) => {
    const samples = await decode(concat(streamInfo(), frame({ size: [code, value, width] }, constant(-5))));
    expect(samples).toHaveLength(expected);
    expect(samples.every((sample) => sample === -5 / 32_768)).toBe(true);
  });

  it.each([
    [88_200, 1, 0, 0],
    [176_400, 2, 0, 0],
    [192_000, 3, 0, 0],
    [8_000, 4, 0, 0],
    [16_000, 5, 0, 0],
    [22_050, 6, 0, 0],
    [24_000, 7, 0, 0],
    [32_000, 8, 0, 0],
    [44_100, 9, 0, 0],
    [48_000, 10, 0, 0],
    [96_000, 11, 0, 0],
    [11_000, 12, 11, 8],
    [11_025, 13, 11_025, 16],
    [655_350, 14, 65_535, 16],
    [12_345, 0, 0, 0],
  ])('at %i Hz may say so with code %i', async (rate, code, value, width) => {
    const stream = concat(streamInfo({ rate }), frame({ rate: [code, value, width] }, constant(1)));
    expect(await decodeFlac(stream, limits)).toMatchObject({ sampleRateHz: rate, samples: { length: 4 } });
  });

  it.each([4, 8, 12, 16, 20, 24, 31, 32])('with %i bits reaches both ends of the range', async (bits) => {
    const [low, high] = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
    const verbatim = (body: BitWriter) => body.put(2, 8).put(low, bits).put(high, bits).put(0, bits).put(-1, bits);
    const samples = await decode(concat(streamInfo({ bits }), frame({}, verbatim)));
    expect([...samples]).toEqual([-1, Math.fround(high / -low), 0, 1 / low]);
  });

  it('with all channels at the lowest 32-bit value sums them without loss', async () => {
    const all = (body: BitWriter) => Array.from({ length: 8 }).reduce((to: BitWriter) => constant(-(2 ** 31), 32)(to), body);
    expect(await decode(concat(streamInfo({ bits: 32, channels: 8 }), frame({ channels: 7 }, all)))).toEqual(new Float32Array(4).fill(-1));
  });

  it.each([
    ['left/side', 8, [-(2 ** 31), 32], [1 - 2 ** 32, 33]],
    ['side/right', 9, [1 - 2 ** 32, 33], [2 ** 31 - 1, 32]],
    ['mid/side', 10, [-1, 32], [1 - 2 ** 32, 33]],
  ] as const)('has a %s channel of 33 bits beside one of 32', async (_name, channels, [first, firstBits], [second, secondBits]) => {
    const both = (body: BitWriter) => constant(second, secondBits)(constant(first, firstBits)(body));
    const samples = await decode(concat(streamInfo({ bits: 32, channels: 2 }), frame({ channels }, both)));
    expect([...samples]).toEqual(new Array(4).fill(-1 / 2 ** 32)); // the mean of -2^31 and 2^31 - 1
  });

  it('with varying block sizes is numbered by its samples', async () => {
    const sizes = [3, 120, 1, 70];
    const starts = [[0], [3], [123], [124]];
    const frames = sizes.map((size, i) => frame({ variable: true, number: starts[i], size: [6, size - 1, 8] }, constant(i)));
    const samples = integers(await decode(concat(streamInfo({ total: 194 }), ...frames)));
    expect(samples).toEqual(sizes.flatMap((size, i) => new Array<number>(size).fill(i)));
  });

  it('that joined a running stream is numbered from there, up to 36 bits', async () => {
    const numbers = [
      [0xfe, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf, 0xbe],
      [0xfe, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf],
    ];
    const frames = numbers.map((number) => frame({ number }, constant(7)));
    expect(await decode(concat(streamInfo(), ...frames))).toHaveLength(8);
  });

  it.each([
    ['Rice', 0, 4, 15],
    ['Rice2', 1, 5, 31],
  ])('has %s partitions, coded, escaped and escaped with nothing', async (_name, method, parameterBits, escape) => {
    const residual = (body: BitWriter) => {
      body
        .put(8 << 1, 8)
        .put(method, 2)
        .put(2, 4); // fixed, order 0; four partitions of two samples
      body.put(3, parameterBits).rice(-100, 3).rice(7, 3);
      body.put(0, parameterBits).rice(60, 0).rice(-1, 0);
      body.put(escape, parameterBits).put(16, 5).put(-32_768, 16).put(32_767, 16);
      return body.put(escape, parameterBits).put(0, 5);
    };
    const samples = await decode(concat(streamInfo(), frame({ size: [6, 7, 8] }, residual)));
    expect(integers(samples)).toEqual([-100, 7, 60, -1, -32_768, 32_767, 0, 0]);
  });

  it('may have wasted bits in some channels only', async () => {
    const both = (body: BitWriter) => constant(0x7)(body.put(1, 8).put(1, 4).put(-5, 12)); // 4 wasted: 1 + 3 zeros, then a one
    const samples = await decode(concat(streamInfo({ channels: 2 }), frame({ channels: 1 }, both)));
    expect(integers(samples)).toEqual(new Array(4).fill((-5 * 16 + 7) / 2));
  });

  it('predicts with sums beyond 32 bits', async () => {
    const high = 30_000;
    const linear = (body: BitWriter) => {
      body
        .put((31 + 2) << 1, 8)
        .put(high, 16)
        .put(high, 16); // order 2
      body.put(14, 4).put(14, 5).put(16_383, 15).put(16_383, 15); // 15 bits of precision, shift 14: 30000 * 32766 / 2^14
      body.put(0, 2).put(0, 4).put(14, 4); // a partition
      return body.rice(-29_995, 14).rice(-29_998, 14);
    };
    const third = Math.floor((2 * high * 16_383) / 2 ** 14) - 29_995;
    const fourth = Math.floor(((third + high) * 16_383) / 2 ** 14) - 29_998;
    expect(integers(await decode(concat(streamInfo(), frame({}, linear))))).toEqual([high, high, third, fourth]);
  });
});

describe('FLAC that breaks the rules is AUDIO_UNDECODABLE', () => {
  const good = frame({}, constant(1));
  const second = (codes: FrameCodes, body = constant(1)) => concat(streamInfo(), good, frame({ number: [1], ...codes }, body));
  const damage = (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === bytes.length + at ? byte ^ 1 : byte));
  const subframe = (...bits: [number, number][]) => second({}, (body) => bits.reduce((to, [value, width]) => to.put(value, width), body));

  it.each<[string, Uint8Array]>([
    ['lost sync', concat(streamInfo(), good, new Uint8Array(20))],
    ['CRC-8', damage(second({}), -6)],
    ['CRC-16', damage(second({}), -3)],
    ['reserved code', second({ reserved: 1 })],
    ['reserved code', second({ bits: 3 })],
    ['reserved code', second({ channels: 11 })],
    ['block size', second({ size: [0, 0, 0] })],
    ['65536', second({ size: [7, 65_535, 16] })],
    ['sample rate', second({ rate: [15, 0, 0] })],
    ['frame number has an invalid code', second({ number: [0x80] })],
    ['frame number has an invalid code', second({ number: [0xff] })],
    ['frame number has an invalid code', second({ number: [0xc2, 0x02] })],
    ['does not follow', second({ number: [2] })],
    ['fixed and variable', second({ number: [4], variable: true })],
    ['2 channels, but the stream has 1', second({ channels: 1 })],
    ['24 bits per sample, but the stream has 16', second({ bits: 6 })],
    ['8000 samples per second, but the stream has 16000', second({ rate: [4, 0, 0] })],
    ['reserved bit', subframe([0x80, 8], [0, 16])],
    ['reserved type 2', subframe([2 << 1, 8], [0, 16])],
    ['reserved type 13', subframe([13 << 1, 8], [0, 16])],
    ['wasted', subframe([1, 8], [0, 15], [1, 1], [0, 64])],
    ['from 32 samples', subframe([63 << 1, 8], [0, 64])],
    ['negative', subframe([32 << 1, 8], [0, 16], [3, 4], [-1, 5], [0, 64])],
    ['precision', subframe([32 << 1, 8], [0, 16], [15, 4], [0, 5], [0, 64])],
    ['coding method', subframe([8 << 1, 8], [2, 2], [0, 64])],
    ['8 partitions', subframe([8 << 1, 8], [0, 2], [3, 4], [0, 64])],
    ['2 partitions', subframe([12 << 1, 8], [0, 64], [0, 2], [1, 4], [0, 64])],
    [
      'more than 16 bits',
      second({}, (body) =>
        body
          .put(9 << 1, 8)
          .put(32_767, 16)
          .put(0, 2)
          .put(0, 4)
          .put(4, 4)
          .rice(10, 4)
          .rice(0, 4)
          .rice(0, 4),
      ),
    ],
  ])('by frame: %s', async (why, bytes) => {
    await expect(decodeFlac(bytes, limits)).rejects.toMatchObject({
      code: 'AUDIO_UNDECODABLE',
      message: expect.stringMatching(new RegExp(`frame 1: .*${why}`)),
      context: { frame: 1, decodedSamples: 4 },
    });
  });

  it('with a residual of more than 32 bits', async () => {
    const body = new BitWriter()
      .put(8 << 1, 8)
      .put(1, 2)
      .put(0, 4)
      .put(30, 5)
      .put(0, 4)
      .put(1, 1)
      .put(0, 64);
    const bytes = concat(
      streamInfo(),
      frame({}, () => body),
    );
    await expect(decodeFlac(bytes, limits)).rejects.toMatchObject({ message: expect.stringContaining('more than 32 bits') });
  });

  it('with more samples than its header states, or another MD5', async () => {
    const nextToo = concat(streamInfo({ total: 4 }), good, frame({ number: [1] }, constant(1)));
    expect(await outcome(nextToo)).toBe('AUDIO_UNDECODABLE');
    expect(await outcome(concat(streamInfo({ total: 3 }), good))).toBe('AUDIO_UNDECODABLE');
    const other = concat(streamInfo({ total: 4 }), good);
    other[30] = 1;
    await expect(decodeFlac(other, limits)).rejects.toMatchObject({ code: 'AUDIO_UNDECODABLE', message: expect.stringContaining('MD5') });
  });

  it('with metadata of a forbidden kind, or without STREAMINFO', async () => {
    const forbidden = concat(streamInfo(), Uint8Array.of(0xff, 0, 0, 0), good);
    forbidden[4] = 0;
    expect(await outcome(forbidden)).toBe('AUDIO_UNDECODABLE');
    const other = concat(streamInfo(), good);
    other[4] = 0x84;
    expect(await outcome(other)).toBe('AUDIO_UNDECODABLE');
  });
});

describe('FLAC that is short', () => {
  it.each(['mono-8.flac', 'tags.flac', 'wasted.flac', 'stereo-32.flac'])('%s cut at any length is AUDIO_TRUNCATED', async (name) => {
    const whole = read(name);
    for (let length = 4; length < whole.length; length++) {
      expect(await outcome(whole.subarray(0, length)), `${length} bytes`).toBe('AUDIO_TRUNCATED');
    }
  });

  it('names the frame in which it ends', async () => {
    const bytes = concat(streamInfo(), frame({}, constant(1)), frame({ number: [1] }, constant(1)).subarray(0, 9));
    const message = expect.stringContaining('within frame 1');
    await expect(decodeFlac(bytes, limits)).rejects.toMatchObject({ code: 'AUDIO_TRUNCATED', message });
  });

  it('cut between frames says how many samples are missing', async () => {
    const bytes = concat(streamInfo({ total: 10 }), frame({}, constant(1)));
    await expect(decodeFlac(bytes, limits)).rejects.toMatchObject({
      code: 'AUDIO_TRUNCATED',
      context: { decodedSamples: 4, totalSamples: 10 },
    });
  });

  it('without samples is AUDIO_EMPTY', async () => {
    expect(await outcome(streamInfo())).toBe('AUDIO_EMPTY');
  });

  it('takes no memory for a length that its header merely states', async () => {
    const promised = streamInfo({ rate: 1_000_000, total: 600_000_000 });
    const before = process.memoryUsage().arrayBuffers;
    expect(await outcome(promised)).toBe('AUDIO_TRUNCATED');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1e6);
  });
});

describe('FLAC that is long', () => {
  it('by its header is AUDIO_TOO_LONG before a frame is decoded', async () => {
    expect(await outcome(streamInfo({ total: 16_001 }), { ...limits, maxDurationSec: 1 })).toBe('AUDIO_TOO_LONG');
  });

  it('by its frames is AUDIO_TOO_LONG at the first frame beyond the limit', async () => {
    const frames = Array.from({ length: 10 }, (_, i) => frame({ number: [i], size: [15, 0, 0] }, constant(0)));
    expect(await outcome(concat(streamInfo(), ...frames, new Uint8Array(5)), { ...limits, maxDurationSec: 20 })).toBe('AUDIO_TOO_LONG');
  });
});

describe('bytes that are not valid FLAC', () => {
  it('with any bit of a file flipped are refused, or give the original samples', async () => {
    const whole = read('mono-8.flac');
    const samples = await decode(whole);
    for (let bit = 0; bit < 8 * whole.length; bit++) {
      const damaged = whole.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      if ((await outcome(damaged)) === 'decoded') expect(sameFloats(await decode(damaged), samples), `bit ${bit}`).toBe(true);
    }
  });

  it('at random, alone or after good headers, are refused', async () => {
    const next = randomNumbers(1);
    const noise = (length: number) => Uint8Array.from({ length }, next);
    const skewed = (length: number) => Uint8Array.from({ length }, () => (next() % 5 === 0 ? next() : 0)); // long runs of zeros
    for (let round = 0; round < 2_000; round++) {
      const rest = round % 2 === 0 ? noise(next() % 600) : skewed(next() % 600);
      expect(await outcome(rest)).toBe('AUDIO_NOT_RECOGNISED');
      const bits = 4 + (next() % 29);
      const channels = 1 + (next() % 8);
      const header = streamInfo({ bits, channels, total: next() % 3 === 0 ? 0 : next() % 100_000 });
      expect(await outcome(concat(header, rest))).not.toBe('decoded');
      const assignment = channels === 2 ? [1, 8, 9, 10][next() % 4] : channels - 1;
      const start = frame({ size: [7, next() % 65_536, 16], channels: assignment }, (body) => body).subarray(0, -2);
      expect(await outcome(concat(header, start, rest))).not.toBe('decoded');
    }
  });

  it('with noise in a subframe of any type end as an error', async () => {
    const next = randomNumbers(2);
    for (let round = 0; round < 2_000; round++) {
      const [bits, channels] = [next() % 2 === 0 ? 32 : 16, 2];
      const type = [0, 1, 8, 9, 10, 11, 12, 32, 39, 43, 47, 63][next() % 12] as number;
      const start = frame({ size: [7, 15 + (next() % 200), 16], channels: [1, 8, 9, 10][next() % 4] }, (body) =>
        body.put(type << 1, 8),
      ).subarray(0, -2);
      const rest = Uint8Array.from({ length: next() % 3_000 }, next);
      expect(await outcome(concat(streamInfo({ bits, channels }), start, rest))).not.toBe('decoded');
    }
  });
});
