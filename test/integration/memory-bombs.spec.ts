/** Small files that would need gigabytes: the extractor pool stays within its memory limit. Linux only, because the test reads /proc. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { encodeWav } from '#audio/decode/encode-wav.js';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import type { PoolReport } from '../../bench/memory-bombs.js';

const ffmpeg = chooseFfmpeg();
const folder = mkdtempSync(join(tmpdir(), 'undertone-bombs-'));
afterAll(() => rmSync(folder, { recursive: true }));

function make(name: string, source: string, ...args: string[]): string {
  const path = join(folder, name);
  const { status, stderr } = spawnSync(ffmpeg?.path ?? '', ['-v', 'error', '-y', '-f', 'lavfi', '-i', source, ...args, path]);
  if (status !== 0) throw new Error(stderr.toString());
  return path;
}

function write(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** Eight kilobytes whose header declares A-law at the highest possible rate. */
function alawOfAbsurdRate(): Uint8Array {
  const wav = Buffer.from(encodeWav([new Float32Array(8_000)], { sampleRateHz: 8_000, bits: 8 }));
  wav.writeUInt16LE(6, 20);
  wav.writeUInt32LE(0x7fffffff, 24);
  return wav;
}

/** A second of tone and then nine and a half minutes of silence. The tone avoids AUDIO_SILENT. */
const longSilence = (rateHz: number) => `sine=frequency=300:sample_rate=${rateHz}:duration=1,apad=whole_dur=570`;

it.skipIf(!ffmpeg || !existsSync('/proc/self/status'))('memory bombs end in errors or tiles, within the memory that was given', () => {
  const files = [
    ...['a', 'b', 'c'].map((name) => make(`${name}.ogg`, longSilence(48_000), '-c:a', 'flac', '-compression_level', '0')),
    make('fast.ogg', 'anullsrc=r=600000:cl=mono:d=60', '-c:a', 'flac', '-compression_level', '0'),
    make('wavpack.mka', 'anullsrc=r=600000:cl=stereo:d=60', '-c:a', 'wavpack'),
    make('high.mka', longSilence(96_000), '-c:a', 'flac', '-compression_level', '0'),
    make('piped.flac', longSilence(48_000), '-c:a', 'flac', '-compression_level', '0', '-f', 'flac'),
    make('mute.webm', "sine=sample_rate=48000:duration=5,asetpts='PTS+gt(T,1)*500/TB'", '-c:a', 'libopus'),
    write('absurd.wav', alawOfAbsurdRate()),
  ];
  // Slightly more than the longest file needs.
  const memoryMB = 180;
  const child = spawnSync(process.execPath, ['dist/bench/memory-bombs.js', String(memoryMB), ...files], { encoding: 'utf8' });
  expect(child.stderr).toBe('');
  const report = JSON.parse(child.stdout) as PoolReport;
  expect(Object.fromEntries(Object.entries(report.answers).map(([file, answer]) => [file.slice(folder.length + 1), answer]))).toEqual({
    'a.ogg': '570 s',
    'b.ogg': '570 s',
    'c.ogg': '570 s',
    'fast.ogg': 'AUDIO_UNDECODABLE',
    'wavpack.mka': 'AUDIO_UNDECODABLE',
    'high.mka': '570 s',
    'piped.flac': '570 s',
    'mute.webm': '505 s',
    'absurd.wav': 'AUDIO_UNDECODABLE',
  });
  const borrowedMB = report.peakMB - report.idleMB + report.ffmpegPeakMB;
  // Heaps of two threads, buffers of pipes and their garbage come on top. Two such files at once would be another 160.
  expect(borrowedMB).toBeLessThan(memoryMB + 150);
});
