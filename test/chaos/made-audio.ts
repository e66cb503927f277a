/** Makes small recordings from a seed: good ones, and ones that are broken in a known way. The same seed gives the same bytes. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeWav } from '#audio/decode/encode-wav.js';
import type { ErrorCode } from '#contracts/pipeline-error.js';
import { packageRoot } from '#service/package-root.js';
import { SeededRandom } from './seeded-random.js';

export interface MadeAudio {
  kind: string;
  bytes: Uint8Array;
  /** The code of the expected dead letter; null for a good recording. */
  code: ErrorCode | null;
  /** The number of tiles for its length; 0 for a broken recording. */
  tiles: number;
}

export type Ending = 'wav' | 'flac';

const ratesHz = [8_000, 16_000, 22_050];

/** A burst of tone; one in twenty is long enough for several tiles. */
export function goodAudio(ending: Ending, seed: number): MadeAudio {
  const random = new SeededRandom(seed, 'audio');
  if (ending === 'flac') {
    const bytes = random.pick(flacs());
    return { kind: 'good', bytes, code: null, tiles: tilesOf(...flacLength(bytes)) };
  }
  const sampleRateHz = random.pick(ratesHz);
  const durationSec = random.chance(0.05) ? random.between(2.5, 6) : random.between(0.3, 1);
  const samples = burst(random, sampleRateHz, durationSec);
  return {
    kind: 'good',
    bytes: encodeWav([samples], { sampleRateHz, bits: 16 }),
    code: null,
    tiles: tilesOf(samples.length, sampleRateHz),
  };
}

export function brokenAudio(ending: Ending, seed: number): MadeAudio {
  const random = new SeededRandom(seed, 'broken');
  const good = goodAudio(ending, seed).bytes;
  const samples = burst(random, 8_000, random.between(0.3, 1));
  const ways: Record<string, () => [ErrorCode, Uint8Array]> = {
    truncated: () => ['AUDIO_TRUNCATED', good.subarray(0, Math.floor(good.length * random.between(0.4, 0.8)))],
    empty: () => ['AUDIO_EMPTY', new Uint8Array()],
    text: () => ['AUDIO_NOT_RECOGNISED', new TextEncoder().encode(`This is no sound at all, but text number ${seed}.`)],
    silence: () => ['AUDIO_SILENT', encodeWav([samples.fill(0)], { sampleRateHz: 8_000 })],
    'too short': () => ['AUDIO_TOO_SHORT', encodeWav([samples.subarray(0, 20 + random.below(100))], { sampleRateHz: 8_000 })],
    'not finite': () => [
      'AUDIO_NON_FINITE',
      encodeWav([samples.fill(Number.NaN, 700, 701)], { sampleRateHz: 8_000, bits: 32, float: true }),
    ],
  };
  const kind = random.pick(ending === 'flac' ? ['truncated', 'empty', 'text'] : Object.keys(ways));
  const [code, bytes] = (ways[kind] as () => [ErrorCode, Uint8Array])();
  return { kind, bytes, code, tiles: 0 };
}

function burst(random: SeededRandom, sampleRateHz: number, durationSec: number): Float32Array {
  const step = (2 * Math.PI * random.between(90, 400)) / sampleRateHz;
  const level = random.between(0.1, 0.5);
  return Float32Array.from(
    { length: Math.round(durationSec * sampleRateHz) },
    (_, i) => level * Math.sin(step * i) + 0.03 * Math.sin(i * i),
  );
}

/** Design, section 4: 22 000 Hz, hop 220, centred; width 256, and a remainder of 64 frames is a tile. Written independently of the code under test. */
function tilesOf(sampleCount: number, rateHz: number): number {
  const frames = 1 + Math.floor(Math.ceil((sampleCount * 22_000) / rateHz) / 220);
  return Math.max(1, Math.floor(frames / 256) + (frames % 256 >= 64 ? 1 : 0));
}

/** STREAMINFO: 20 bits of rate, 8 of shape, 36 of length. */
function flacLength(bytes: Uint8Array): [sampleCount: number, rateHz: number] {
  const field = Buffer.from(bytes.buffer, bytes.byteOffset + 18, 8).readBigUInt64BE();
  return [Number(field & 0xfffffffffn), Number(field >> 44n)];
}

let read: Uint8Array[] | undefined;

function flacs(): readonly Uint8Array[] {
  const folder = join(packageRoot, 'samples/acted/audio');
  read ??= readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.flac'))
    .sort()
    .map((path) => new Uint8Array(readFileSync(join(folder, path))));
  return read;
}
