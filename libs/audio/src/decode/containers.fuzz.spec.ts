/**
 * Containers made by ffmpeg, with bytes changed, parts left out, doubled and cut off. Each must soon end as samples within the
 * limits or as an error with a code, and leave no process and no file behind. fast-check prints the seed and the smallest case.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isWhole, statesDuration } from './container-structure.js';
import { decodeAudio } from './decode-audio.js';
import { estimateMemory } from './estimate-memory.js';
import { defaultFeatureSettings } from '../feature-settings.js';
import { chooseFfmpeg } from './ffmpeg-config.js';
import { isLfsPointer, sniffFormat } from './sniff-format.js';

const seed = 20_261_130;
const ffmpeg = chooseFfmpeg();
const kinds: readonly [name: string, ...args: string[]][] = [
  ['a.ogg', '-c:a', 'libopus'],
  ['a.oga', '-c:a', 'flac', '-f', 'ogg'],
  ['a.webm', '-c:a', 'libopus'],
  ['live.webm', '-c:a', 'libopus', '-live', '1'],
  ['a.mka', '-c:a', 'wavpack'],
  ['a.m4a', '-movflags', '+faststart'],
  ['pieces.mp4', '-movflags', '+frag_keyframe+empty_moov', '-frag_duration', '200000'],
  ['a.mp3'],
  ['a.w64'],
  ['a.caf'],
  ['a.aiff'],
  ['a.au'],
  ['alaw.wav', '-c:a', 'pcm_alaw'],
  ['adpcm.wav', '-c:a', 'adpcm_ms'],
  ['a.wma', '-c:a', 'wmav2'],
  ['a.aac'],
  ['a.avi', '-c:a', 'mp3'],
];
const limits = { ...defaultFeatureSettings, maxDurationSec: 5, timeoutMs: 20_000, ffmpeg };
const files: Uint8Array[] = [];
const counts: Record<string, number> = {};
/** A temporary folder for the tests of this file, so that no other test leaves anything in it. */
const folder = mkdtempSync(join(tmpdir(), 'undertone-fuzz-'));
let startBytes: number;

beforeAll(() => {
  vi.stubEnv('TMPDIR', folder);
  if (!ffmpeg) return;
  const sound = ['-f', 'lavfi', '-i', 'sine=frequency=300:duration=1:sample_rate=16000,tremolo=f=5'];
  const outputs = kinds.flatMap(([name, ...args]) => [...args, join(folder, name)]);
  const { status, stderr } = spawnSync(ffmpeg.path, ['-v', 'error', '-y', ...sound, ...outputs]);
  if (status !== 0) throw new Error(stderr.toString());
  for (const [name] of kinds) {
    files.push(new Uint8Array(readFileSync(join(folder, name))));
    rmSync(join(folder, name));
  }
  startBytes = process.memoryUsage().rss;
}, 60_000);
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
  console.log(`${Object.values(counts).reduce((a, b) => a + b, 0)} cases`, counts);
});

type Edit = { kind: 'byte' | 'word' | 'leave out' | 'double' | 'zeros'; at: number; length: number; value: number };
const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom('byte', 'byte', 'word', 'leave out', 'double', 'zeros'),
  // Headers lie in front, and a few at the end.
  at: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 999 })).map((thousandth) => thousandth / 1000),
  length: fc.integer({ min: 1, max: 400 }),
  value: fc.oneof(fc.constantFrom(0, 1, 0x7fffffff, 0xffffffff, 0x80000000), fc.nat(0xffffffff)),
});

function apply(file: Uint8Array, edits: readonly Edit[], share: number | null): Uint8Array {
  let bytes: Buffer = Buffer.from(file.subarray(0, share === null ? file.length : Math.floor(share * file.length)));
  for (const { kind, at, length, value } of edits) {
    const from = Math.floor(at * bytes.length);
    if (kind === 'byte' && bytes.length > from) bytes[from] = value & 255;
    else if (kind === 'word' && bytes.length >= from + 4) bytes.writeUInt32BE(value, from);
    else if (kind === 'zeros') bytes.fill(0, from, Math.min(bytes.length, from + length));
    else if (kind === 'leave out') bytes = Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + length)]);
    else if (kind === 'double') bytes = Buffer.concat([bytes.subarray(0, from + length), bytes.subarray(from)]);
  }
  return new Uint8Array(bytes);
}

const edits = fc.array(edit, { maxLength: 4 });
const share = fc.oneof(
  { weight: 3, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.integer({ min: 10, max: 99 }).map((percent) => percent / 100) },
);
const file = fc.nat(kinds.length - 1);

async function endsWell(bytes: Uint8Array): Promise<void> {
  try {
    const { samples, sampleRateHz } = await decodeAudio(bytes, limits);
    expect(samples.length / sampleRateHz).toBeLessThanOrEqual(limits.maxDurationSec);
    counts['samples'] = (counts['samples'] ?? 0) + 1;
  } catch (error) {
    const { name, code } = error as { name: string; code: string };
    if (name !== 'PipelineError') throw error;
    expect(code).toMatch(/^AUDIO_(?!DECODE_TIMEOUT)[A-Z_]+$/);
    counts[code] = (counts[code] ?? 0) + 1;
  }
}

describe.skipIf(!ffmpeg)('containers with bytes changed, left out, doubled and cut off', () => {
  it('end as samples or as an error with a code', async () => {
    const property = fc.asyncProperty(file, edits, share, (which, changes, kept) =>
      endsWell(apply(files[which] as Uint8Array, changes, kept)),
    );
    await fc.assert(property, { numRuns: Number(process.env['FUZZ_CONTAINERS'] ?? 120), seed });
  }, 600_000);

  it('leave no file, no process and no memory behind', () => {
    expect(readdirSync(folder)).toEqual([]);
    expect(process.memoryUsage().rss - startBytes).toBeLessThan(400e6);
  });

  it('never throw in format, structure and estimate', () => {
    const property = fc.property(file, edits, share, (which, changes, kept) => {
      const bytes = apply(files[which] as Uint8Array, changes, kept);
      const format = sniffFormat(bytes);
      expect(isLfsPointer(bytes)).toBe(false);
      expect(format?.offset ?? 0).toBeLessThanOrEqual(bytes.length);
      for (const demuxer of ['matroska', 'mov', 'w64', 'caf', 'asf']) {
        expect([true, false, null]).toContain(isWhole(bytes, demuxer));
        statesDuration(bytes, demuxer);
      }
      expect(estimateMemory(bytes, limits).bytes).toBeLessThan(1e9);
    });
    fc.assert(property, { numRuns: 4_000, seed });
  });
});
