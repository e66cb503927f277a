/** Measures the service's pool of workers: throughput and memory by the number of workers. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeWav } from '#audio/decode/encode-wav.js';
import { featureSettings } from '#audio/feature-settings.js';
import { AudioMemory } from '#extraction/audio-memory.js';
import { ExtractorPool } from '#extraction/extractor-pool.js';
import { PIECE_SEC } from './speech-files.js';
import { type BenchRow, median, row } from './table.js';

const settings = featureSettings();
const options = { silence: 'ends', ffmpeg: null } as const;

export interface PoolMeasurement {
  rows: BenchRow[];
  /** Seconds of audio per second of two workers. */
  audioPerSec: number;
  /** Seconds of audio per second of processor time. */
  audioPerCpuSec: number;
}

/** Call this before this process is pinned to a core. */
export async function measurePool(files: string[], folder: string): Promise<PoolMeasurement> {
  const contents = files.map((file) => readFileSync(file));
  const audioSec = files.length * PIECE_SEC;
  const one = await throughput(contents, 1);
  const two = await throughput(contents, 2);
  const rows = [
    row('one worker, silence cut', 's of audio per s', audioSec / one.sec),
    row('two workers, silence cut', 's of audio per s', audioSec / two.sec),
    row('two workers of one', 'times', one.sec / two.sec),
  ];
  for (const rateHz of [16_000, 48_000]) {
    rows.push(row(`resident, two workers, files of ten minutes at ${rateHz / 1000} kHz`, 'MiB', peakMiB(folder, rateHz)));
  }
  return { rows, audioPerSec: audioSec / two.sec, audioPerCpuSec: audioSec / two.cpuSec };
}

/** @returns medians of five runs over all files */
async function throughput(contents: Buffer[], workers: number): Promise<{ sec: number; cpuSec: number }> {
  const pool = new ExtractorPool({ workers, fileTimeoutMs: 60_000, memory: new AudioMemory(192e6 * 4) });
  const seconds: number[] = [];
  const cpuSeconds: number[] = [];
  for (let round = -1; round < 5; round++) {
    const begun = performance.now();
    const cpuBegun = process.cpuUsage();
    await Promise.all(contents.map((bytes) => pool.extract(Uint8Array.from(bytes), settings, options)));
    if (round < 0) continue;
    const { user, system } = process.cpuUsage(cpuBegun);
    seconds.push((performance.now() - begun) / 1000);
    cpuSeconds.push((user + system) / 1e6);
  }
  await pool.close();
  return { sec: median(seconds), cpuSec: median(cpuSeconds) };
}

/** Files of the longest accepted duration. */
function peakMiB(folder: string, sampleRateHz: number): number {
  const samples = Float32Array.from({ length: settings.maxDurationSec * sampleRateHz }, (_, i) => 0.3 * Math.sin(i * 0.05));
  const path = join(folder, `long-${sampleRateHz}.wav`);
  writeFileSync(path, encodeWav([samples], { sampleRateHz }));
  const child = fileURLToPath(new URL('./features-memory.js', import.meta.url));
  return Number(execFileSync(process.execPath, [child, path, path, path, path], { encoding: 'utf8' }));
}
