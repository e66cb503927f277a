/**
 * Small files that would need gigabytes: features and its ffmpeg processes stay within `AUDIO_MEMORY_MB`. Linux only, because the test
 * reads /proc.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { encodeWav } from '#audio/decode/encode-wav.js';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import { corpusKey } from '#contracts/object-keys.js';
import { toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

const ffmpeg = chooseFfmpeg();
const folder = mkdtempSync(join(tmpdir(), 'undertone-bombs-'));
/** The decoder's share, a quarter, is less than the longest file needs. So that file borrows from open shards. */
const memoryMB = 288;
const pipeline = new RunningPipeline({ AUDIO_MEMORY_MB: String(memoryMB) });
afterAll(async () => {
  await pipeline.close();
  rmSync(folder, { recursive: true });
});

function made(source: string, format: string, ...args: string[]): Uint8Array {
  const path = join(folder, `made.${format}`);
  const { status, stderr } = spawnSync(ffmpeg?.path ?? '', ['-v', 'error', '-y', '-f', 'lavfi', '-i', source, ...args, path]);
  if (status !== 0) throw new Error(stderr.toString());
  return new Uint8Array(readFileSync(path));
}

/** Eight kilobytes whose header declares A-law at the highest possible rate. */
function alawOfAbsurdRate(): Uint8Array {
  const wav = Buffer.from(encodeWav([new Float32Array(8_000)], { sampleRateHz: 8_000, bits: 8 }));
  wav.writeUInt16LE(6, 50);
  wav.writeUInt32LE(0x7fffffff, 24);
  return wav;
}

/** A second of tone and then nine and a half minutes of silence. The tone avoids AUDIO_SILENT. */
const longSilence = (rateHz: number) => `sine=frequency=300:sample_rate=${rateHz}:duration=1,apad=whole_dur=570`;

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return ''; // the process has ended
  }
}
const megabytesOf = (status: string, field: 'VmRSS' | 'VmHWM' | 'RssAnon'): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / 1e3;

/** Linux lists child processes under the thread that started them. */
function childrenOf(pid: number): number[] {
  const threads = existsSync(`/proc/${pid}/task`) ? readdirSync(`/proc/${pid}/task`) : [];
  return threads.flatMap((thread) => {
    try {
      return readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    } catch {
      return []; // the thread has ended
    }
  });
}

/** Memory of the ffmpeg processes of features now, without the code of their libraries. */
function ffmpegMB(features: number): number {
  // Before it becomes ffmpeg, a child reports the memory of its parent as its own.
  const decoders = childrenOf(features)
    .map(statusOf)
    .filter((status) => status.startsWith('Name:\tffmpeg'));
  return decoders.reduce((sum, status) => sum + megabytesOf(status, 'RssAnon'), 0);
}

it.skipIf(!ffmpeg || !existsSync('/proc/self/status'))('memory bombs end in errors or tiles, within AUDIO_MEMORY_MB', async () => {
  const { store, overview } = pipeline;
  await pipeline.prepare();
  const usual = made('sine=duration=3', 'ogg', '-c:a', 'libopus');
  for (let i = 0; i < 6; i++) {
    await store.put(corpusKey('usual', `${i}.wav`), toneWav({ pitchHz: 150 + i }));
    await store.put(corpusKey('usual', `${i}.ogg`), usual);
  }
  pipeline.start('ingest', 'features');
  await pipeline.until('usual recordings in shards', () => overview.reconcile().inShards === 12);
  const features = pipeline.pidOf('features') ?? 0;
  const idleMB = megabytesOf(statusOf(features), 'VmRSS');
  writeFileSync(`/proc/${features}/clear_refs`, '5'); // forgets the peak so far

  const flac = ['-c:a', 'flac', '-compression_level', '0'];
  const long = made(longSilence(48_000), 'ogg', ...flac);
  const bombs: [string, Uint8Array][] = [
    ...['a.ogg', 'b.ogg'].map((name): [string, Uint8Array] => [name, long]),
    ['fast.ogg', made('anullsrc=r=600000:cl=mono:d=60', 'ogg', ...flac)],
    ['wavpack.mka', made('anullsrc=r=600000:cl=stereo:d=60', 'mka', '-c:a', 'wavpack')],
    ['high.mka', made(longSilence(96_000), 'mka', ...flac)],
    ['piped.flac', made(longSilence(48_000), 'flac', ...flac)],
    ['mute.webm', made("sine=sample_rate=48000:duration=5,asetpts='PTS+gt(T,1)*500/TB'", 'webm', '-c:a', 'libopus')],
    // Its samples alone are larger than the budget.
    ['long.wav', encodeWav([new Float32Array(300 * 192_000).fill(0.1, 0, 9)], { sampleRateHz: 192_000, bits: 8 })],
    ['absurd.wav', alawOfAbsurdRate()],
  ];
  let ffmpegPeakMB = 0;
  const timer = setInterval(() => (ffmpegPeakMB = Math.max(ffmpegPeakMB, ffmpegMB(features))), 50);
  for (const [name, bytes] of bombs) await store.put(corpusKey('bombs', name), bytes);
  await pipeline.until(
    'all settled',
    () => {
      const { utterances, inFlight } = overview.reconcile();
      return utterances === 12 + bombs.length && inFlight.length === 0;
    },
    180,
  );
  clearInterval(timer);
  expect(Object.fromEntries(overview.deadLetters.map(({ utteranceId, code }) => [utteranceId, code]))).toEqual({
    'bombs/fast.ogg': 'AUDIO_UNDECODABLE',
    'bombs/wavpack.mka': 'AUDIO_UNDECODABLE',
    'bombs/long.wav': 'AUDIO_TOO_LARGE',
    'bombs/absurd.wav': 'AUDIO_UNDECODABLE',
  });
  expect(overview.reconcile().inShards).toBe(12 + 5);
  const peakMB = megabytesOf(statusOf(features), 'VmHWM') + ffmpegPeakMB;
  expect(peakMB - idleMB).toBeLessThan(memoryMB);
});
