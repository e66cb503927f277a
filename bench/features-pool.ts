/** Ours through the service's pool of workers: how throughput grows with them, and how much memory they take. */
import { readFileSync } from 'node:fs';
import { encodeWav } from '#audio/encode-wav.js';
import { featureSettings } from '#audio/feature-settings.js';
import { ExtractorPool } from '../apps/features/src/extractor-pool.js';
import { PIECE_SEC } from './speech-files.js';
import { type BenchRow, median, row } from './table.js';

const settings = featureSettings();
const options = { silence: 'ends', ffmpeg: null } as const;

/** Call it before this process is pinned to a core. */
export async function measurePool(files: string[]): Promise<BenchRow[]> {
  const contents = files.map((file) => readFileSync(file));
  const audioSec = files.length * PIECE_SEC;
  const [one, two] = [await throughput(contents, 1), await throughput(contents, 2)] as const;
  const rows = [
    row('one worker, silence cut', 's of audio per s', audioSec / one),
    row('two workers, silence cut', 's of audio per s', audioSec / two),
    row('two workers of one', 'times', one / two),
  ];
  const hertz = 48_000;
  const long = encodeWav([Float32Array.from({ length: settings.maxDurationSec * hertz }, (_, i) => 0.3 * Math.sin(i * 0.05))], { sampleRateHz: hertz });
  const pool = new ExtractorPool(2, 120_000);
  await Promise.all([long, long, long, long].map((bytes) => pool.extract(bytes, settings, options)));
  await pool.close();
  rows.push(row('resident, two workers at files of ten minutes, 48 kHz', 'MiB', peakMiB()));
  return rows;
}

/** @returns seconds for all files, the median of five times */
async function throughput(contents: Buffer[], workers: number): Promise<number> {
  const pool = new ExtractorPool(workers, 60_000);
  const seconds: number[] = [];
  for (let round = -1; round < 5; round++) {
    const begun = performance.now();
    await Promise.all(contents.map((bytes) => pool.extract(bytes, settings, options)));
    if (round >= 0) seconds.push((performance.now() - begun) / 1000);
  }
  await pool.close();
  return median(seconds);
}

function peakMiB(): number {
  return process.resourceUsage().maxRSS / 1024;
}
