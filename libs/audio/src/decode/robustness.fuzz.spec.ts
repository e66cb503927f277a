/**
 * Tens of thousands of byte strings that are not audio. Each must soon end as features or as an error with a code, without
 * memory for lengths that a header merely states. fast-check prints the seed and the smallest case of a failure.
 */
import { globSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { encodeWav } from './encode-wav.js';
import { extractFeatures } from '../extract-features.js';
import { featureSettings } from '../feature-settings.js';

const settings = featureSettings({ maxDurationSec: 5 });
const seed = 20_261_124;
const fixtures = new URL('../../fixtures/', import.meta.url);
const flacs = globSync('*.flac', { cwd: fixtures })
  .sort()
  .map((name) => new Uint8Array(readFileSync(new URL(name, fixtures))))
  .filter(({ length }) => length < 20_000);
const tone = (length: number) => Float32Array.from({ length }, (_, i) => 0.4 * Math.sin(i * 0.3));
const wavs = [
  encodeWav([tone(1_000)], { sampleRateHz: 16_000 }),
  encodeWav([tone(900), tone(900)], { sampleRateHz: 44_100, bits: 24 }),
  encodeWav([tone(700)], { sampleRateHz: 8_000, bits: 32, float: true }),
  encodeWav([tone(700), tone(700), tone(700)], { sampleRateHz: 22_050, bits: 8 }),
];

const startBytes = process.memoryUsage().rss;
const counts: Record<string, number> = {};
afterAll(() => console.log(`${Object.values(counts).reduce((a, b) => a + b, 0)} cases`, counts));

/** Fails on any result but features or an error with a code. */
async function endsWell(bytes: Uint8Array, silence: 'none' | 'ends' | 'all'): Promise<void> {
  try {
    const { count, keptSec, tiles } = await extractFeatures(bytes, settings, { silence, ffmpeg: null });
    expect(keptSec).toBeLessThanOrEqual(settings.maxDurationSec);
    expect(tiles.length).toBe(count * settings.rows * settings.width);
    counts['features'] = (counts['features'] ?? 0) + 1;
  } catch (error) {
    const { name, code } = error as { name: string; code: string };
    if (name !== 'PipelineError') throw error;
    expect(code).toMatch(/^(AUDIO_[A-Z_]+|DECODER_MISSING)$/);
    counts[code] = (counts[code] ?? 0) + 1;
  }
}

const silences = fc.constantFrom('none' as const, 'ends' as const, 'all' as const);
const uint16 = fc.oneof(fc.constantFrom(0, 1, 2, 3, 8, 16, 24, 32, 64, 0x11, 0xfffe, 0xffff), fc.nat(0xffff));
const uint32 = fc.oneof(
  fc.constantFrom(0, 1, 16, 18, 40, 8_000, 44_100, 192_000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff),
  fc.nat(0xffffffff),
);

interface Chunk {
  id: string;
  /** Sizes in the header; null for the true ones. */
  size: number | null;
  body: Uint8Array;
}

const formatChunk: fc.Arbitrary<Chunk> = fc
  .record({
    tag: uint16,
    channels: uint16,
    rate: uint32,
    align: uint16,
    bits: uint16,
    size: fc.option(uint32, { freq: 8 }),
    extra: fc.uint8Array({ maxLength: 30 }),
  })
  .map(({ tag, channels, rate, align, bits, size, extra }) => {
    const body = new Uint8Array(16 + extra.length);
    const view = new DataView(body.buffer);
    view.setUint16(0, tag, true);
    view.setUint16(2, channels, true);
    view.setUint32(4, rate, true);
    view.setUint16(12, align, true);
    view.setUint16(14, bits, true);
    body.set(extra, 16);
    return { id: 'fmt ', size, body };
  });
const anyChunk: fc.Arbitrary<Chunk> = fc.record({
  id: fc.constantFrom('data', 'data', 'ds64', 'LIST', 'fact', 'JUNK', 'fmt '),
  size: fc.option(uint32, { freq: 3 }),
  body: fc.uint8Array({ maxLength: 3_000 }),
});

function riff(form: string, formSize: number, chunks: Chunk[]): Uint8Array {
  const parts = chunks.map(({ id, size, body }) => {
    const head = Buffer.alloc(8);
    head.write(id, 'latin1');
    head.writeUInt32LE(size ?? body.length, 4);
    return Buffer.concat([head, body, Buffer.alloc(body.length % 2)]);
  });
  const head = Buffer.alloc(12);
  head.write(form, 'latin1');
  head.writeUInt32LE(formSize, 4);
  head.write('WAVE', 8, 'latin1');
  return new Uint8Array(Buffer.concat([head, ...parts]));
}

describe('whatever the bytes are', () => {
  it('WAV headers of any fields, chunks in any order, lengths that lie', async () => {
    const form = fc.constantFrom('RIFF', 'RF64', 'BW64');
    const property = fc.asyncProperty(
      form,
      uint32,
      formatChunk,
      fc.array(anyChunk, { maxLength: 4 }),
      fc.boolean(),
      silences,
      (kind, size, format, chunks, last, silence) => endsWell(riff(kind, size, last ? [...chunks, format] : [format, ...chunks]), silence),
    );
    await fc.assert(property, { numRuns: 9_000, seed });
  });

  it('WAV and FLAC files with bytes changed and their ends cut off', async () => {
    const valid = fc.constantFrom(...wavs, ...flacs);
    // Headers lie near the front.
    const place = fc.oneof(fc.nat(60), fc.nat(20_000));
    const changes = fc.array(fc.tuple(place, fc.nat(255)), { maxLength: 6 });
    const property = fc.asyncProperty(
      valid,
      changes,
      fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      silences,
      (file, edits, cut, silence) => {
        const bytes = file.slice(0, cut === null ? file.length : Math.floor(cut * file.length));
        for (const [at, value] of edits) if (bytes.length > 0) bytes[at % bytes.length] = value;
        return endsWell(bytes, silence);
      },
    );
    await fc.assert(property, { numRuns: 8_000, seed });
  });

  it('noise behind the first bytes of every format', async () => {
    const starts = [
      'fLaC\x00\x00\x00\x22',
      'fLaC',
      'ID3\x04\x00\x10\x00\x00\x00\x05',
      'RIFF\x00\x00\x00\x00WAVE',
      'OggS',
      '\x00\x00\x00\x20ftypM4A ',
      '\xff\xfb\x90\x64',
      '',
    ];
    const property = fc.asyncProperty(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 4_000 }), silences, (start, noise, silence) =>
      endsWell(new Uint8Array(Buffer.concat([Buffer.from(start, 'latin1'), noise])), silence),
    );
    await fc.assert(property, { numRuns: 5_000, seed });
  });

  it('takes no memory for a length that a header merely states', () => {
    expect(process.memoryUsage().rss - startBytes).toBeLessThan(600e6);
  });

  it('a WAV of ten hours is refused by its header', async () => {
    const header = encodeWav([tone(8)], { sampleRateHz: 16_000 });
    new DataView(header.buffer).setUint32(40, 10 * 3_600 * 16_000 * 2, true);
    await expect(extractFeatures(header, settings, { silence: 'none', ffmpeg: null })).rejects.toMatchObject({
      code: expect.stringMatching(/AUDIO_T(OO_LONG|RUNCATED)/),
    });
  });
});
