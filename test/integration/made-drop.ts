/** Makes realistic files: every format, odd names, and fifty files that are broken in fifteen ways. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeWav, type EncodeWavOptions } from '#audio/decode/encode-wav.js';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import type { ErrorCode } from '#contracts/pipeline-error.js';
import { packageRoot } from '#service/package-root.js';

export interface DroppedFile {
  path: string;
  bytes: Uint8Array;
  /** The code of the expected dead letter. */
  code?: ErrorCode;
}

const rates = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000];
const widths: Pick<EncodeWavOptions, 'bits' | 'float'>[] = [
  { bits: 8 },
  { bits: 16 },
  { bits: 24 },
  { bits: 32 },
  { bits: 32, float: true },
  { bits: 64, float: true },
];
const channelCounts = [1, 1, 1, 2, 6];
const flacNames = ['mono-8', 'mono-12', 'mono-20', 'mono-24', 'noise-16', 'stereo-24', 'levels-0', 'levels-8', 'six-16', 'fixed'];
const lossy: [string, string[]][] = [
  ['mp3', ['-f', 'mp3']],
  ['ogg', ['-c:a', 'libvorbis', '-f', 'ogg']],
  ['opus', ['-c:a', 'libopus', '-f', 'ogg']],
  ['m4a', ['-c:a', 'aac', '-movflags', 'frag_keyframe+empty_moov', '-f', 'mp4']],
];
const oddNames = ['a b', 'ü+ö', '100%', 'x#y', "it's", 'UPPER', '日本', 'a%20b'];

function voice(seconds: number, rateHz: number, pitchHz: number): Float32Array {
  return Float32Array.from({ length: Math.round(seconds * rateHz) }, (_, i) => {
    const phase = (2 * Math.PI * pitchHz * i) / rateHz;
    return 0.3 * Math.sin(phase) + 0.15 * Math.sin(2 * phase) + 0.1 * Math.sin(5 * phase + Math.sin(i / 900));
  });
}

/** Good files: a fifth is FLAC, 15 are of each lossy format that this ffmpeg can encode (at most four), and the others are WAV. */
export function goodFiles(count: number): DroppedFile[] {
  const files: DroppedFile[] = [];
  const name = (ending: string): string => {
    const n = files.length;
    const folder = `${oddNames[n % oddNames.length]}/${n % 7 === 0 ? `${'long '.repeat(30)}/` : ''}`;
    return `${folder}${n}.${n % 11 === 0 ? ending.toUpperCase() : ending}`;
  };
  for (const [ending, options] of lossy) {
    const bytes = encoded(options);
    for (let i = 0; bytes && i < 15; i++) files.push({ path: name(ending), bytes });
  }
  const flacs = flacNames.map((each) => new Uint8Array(readFileSync(join(packageRoot, `libs/audio/fixtures/${each}.flac`))));
  for (let i = 0; i < count / 5; i++) files.push({ path: name('flac'), bytes: flacs[i % flacs.length] as Uint8Array });
  for (let i = 0; files.length < count; i++) {
    const sampleRateHz = rates[i % rates.length] as number;
    const samples = voice(0.2 + (i % 13) / 20, sampleRateHz, 90 + (i % 200));
    const channels = Array.from({ length: channelCounts[i % channelCounts.length] as number }, () => samples);
    files.push({ path: name('wav'), bytes: encodeWav(channels, { sampleRateHz, ...widths[Math.floor(i / 6) % widths.length] }) });
  }
  return files;
}

let lossyFiles: [ending: string, bytes: Uint8Array][] | undefined;
/** One small file of each lossy format that this ffmpeg encodes. */
export function encodedLossy(): readonly [ending: string, bytes: Uint8Array][] {
  lossyFiles ??= lossy.flatMap(([ending, options]) => {
    const bytes = encoded(options);
    return bytes ? [[ending, bytes] as [string, Uint8Array]] : [];
  });
  return lossyFiles;
}

function encoded(options: string[]): Uint8Array | null {
  const ffmpeg = chooseFfmpeg();
  if (!ffmpeg) return null;
  const wav = encodeWav([voice(0.6, 16_000, 140)], { sampleRateHz: 16_000 });
  const made = spawnSync(ffmpeg.path, ['-v', 'error', '-i', '-', ...options, '-'], { input: wav, maxBuffer: 1 << 24 });
  return made.status === 0 ? new Uint8Array(made.stdout) : null;
}

const rateHz = 16_000;
const good = encodeWav([voice(0.5, rateHz, 130)], { sampleRateHz: rateHz });
const goodFlac = () => new Uint8Array(readFileSync(join(packageRoot, 'samples/acted/audio/f01/f01-sad-01.flac')));
const floats = (value: number) =>
  encodeWav([voice(0.5, rateHz, 130).fill(value, 4_000, 4_001)], { sampleRateHz: rateHz, bits: 32, float: true });
const text = (content: string) => new TextEncoder().encode(content);

function changed(bytes: Uint8Array, change: (copy: Uint8Array) => void): Uint8Array {
  const copy = bytes.slice();
  change(copy);
  return copy;
}

const broken: [string, ErrorCode, () => Uint8Array][] = [
  ['empty.wav', 'AUDIO_EMPTY', () => new Uint8Array()],
  ['header-only.wav', 'AUDIO_EMPTY', () => encodeWav([new Float32Array()], { sampleRateHz: rateHz })],
  ['text.wav', 'AUDIO_NOT_RECOGNISED', () => text('This is no sound at all, only a text.')],
  ['picture.flac', 'AUDIO_NOT_RECOGNISED', () => text('\u0089PNG\r\n\u001a\n and what a picture holds')],
  ['cut.wav', 'AUDIO_TRUNCATED', () => good.subarray(0, good.length >> 1)],
  ['cut.flac', 'AUDIO_TRUNCATED', () => goodFlac().subarray(0, goodFlac().length >> 1)],
  [
    'flipped.flac',
    'AUDIO_UNDECODABLE',
    () => changed(goodFlac(), (copy) => (copy[copy.length >> 1] = (copy[copy.length >> 1] as number) ^ 16)),
  ],
  ['no-format.wav', 'AUDIO_UNDECODABLE', () => changed(good, (copy) => copy.set(text('junk'), 12))],
  ['rate.flac', 'AUDIO_UNDECODABLE', () => changed(goodFlac(), (copy) => copy.set([0xff, 0xff], 18))],
  ['short.wav', 'AUDIO_TOO_SHORT', () => encodeWav([voice(0.01, rateHz, 130)], { sampleRateHz: rateHz })],
  ['long.wav', 'AUDIO_TOO_LONG', () => encodeWav([new Float32Array(601 * 8_000)], { sampleRateHz: 8_000, bits: 8 })],
  ['silent.wav', 'AUDIO_SILENT', () => encodeWav([new Float32Array(8_000)], { sampleRateHz: rateHz })],
  ['whisper.wav', 'AUDIO_SILENT', () => encodeWav([voice(0.5, rateHz, 130).map((x) => x * 1e-4)], { sampleRateHz: rateHz, bits: 24 })],
  ['nan.wav', 'AUDIO_NON_FINITE', () => floats(Number.NaN)],
  ['infinite.wav', 'AUDIO_NON_FINITE', () => floats(Number.POSITIVE_INFINITY)],
];

/** Fifty broken files, with each of the fifteen ways at least three times. */
export function brokenFiles(): DroppedFile[] {
  return Array.from({ length: 50 }, (_, i) => {
    const [name, code, make] = broken[i % broken.length] as (typeof broken)[number];
    return { path: `bad ones/${i}-${name}`, bytes: make(), code };
  });
}
