/** Makes FLAC files of equal length from the speech of the committed samples, encoded by ffmpeg. */
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeFlac } from '#audio/flac/decode-flac.js';
import { encodeWav } from '#audio/decode/encode-wav.js';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';

export const PIECE_SEC = 15;
const RATE_HZ = 16_000;

/** @returns paths of `count` files of 15 s at 16 kHz */
export async function makeSpeechFiles(folder: string, count: number): Promise<string[]> {
  const ffmpeg = chooseFfmpeg();
  if (!ffmpeg) throw new Error('the bench needs an ffmpeg to encode its files: install ffmpeg, or set FFMPEG_BIN');
  const speech = await allSpeech();
  return Array.from({ length: count }, (_, piece) => {
    const length = PIECE_SEC * RATE_HZ;
    const start = (piece * length) % (speech.length - length);
    const path = join(folder, `${String(piece).padStart(3, '0')}.flac`);
    const wav = encodeWav([speech.subarray(start, start + length)], { sampleRateHz: RATE_HZ });
    const made = spawnSync(ffmpeg.path, [...'-v error -i - -c:a flac -compression_level 5 -sample_fmt s16'.split(' '), path], {
      input: wav,
    });
    if (made.status !== 0) throw new Error(`ffmpeg: ${made.stderr.toString()}`);
    return path;
  });
}

async function allSpeech(): Promise<Float32Array> {
  const parts: Float32Array[] = [];
  for (const path of globSync('samples/librispeech-mini/**/*.flac').sort()) {
    parts.push((await decodeFlac(readFileSync(path), { maxDurationSec: 600, decoder: '' })).samples);
  }
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
