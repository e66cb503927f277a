/**
 * Child process of test/integration/memory-bombs.spec.ts: sends all files through an extractor pool at once. It prints the outcome
 * of each file and the peak of resident memory: of this process by the kernel's high-water mark, of ffmpeg processes by sampling.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { featureSettings } from '#audio/feature-settings.js';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import { ExtractorPool } from '#extraction/extractor-pool.js';

export interface PoolReport {
  answers: Record<string, string>;
  idleMB: number;
  /** Peak memory of this process. */
  peakMB: number;
  /** Peak memory of all ffmpeg processes together. */
  ffmpegPeakMB: number;
}

const statusOf = (pid: number | 'self'): string => {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return ''; // the process has ended
  }
};
const megabytesOf = (status: string, field: 'VmRSS' | 'VmHWM' | 'RssAnon'): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / 1e3;
/** Linux lists child processes under the thread that started them. */
const children = (): number[] =>
  readdirSync('/proc/self/task').flatMap((thread) => {
    const pids = readFileSync(`/proc/self/task/${thread}/children`, 'utf8').trim();
    return pids === '' ? [] : pids.split(' ').map(Number);
  });

const [memoryMB = '', ...files] = process.argv.slice(2);
const pool = new ExtractorPool({ workers: 2, fileTimeoutMs: 60_000, memoryBytes: Number(memoryMB) * 1e6 });
const ffmpeg = chooseFfmpeg();
const extract = async (bytes: Uint8Array): Promise<string> => {
  try {
    const { audioSec } = await pool.extract(bytes, featureSettings(), { silence: 'none', timeoutMs: 60_000, ffmpeg });
    return `${Math.round(audioSec)} s`;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

const idleMB = megabytesOf(statusOf('self'), 'VmRSS');
let ffmpegPeakMB = 0;
const timer = setInterval(() => {
  // Before it becomes ffmpeg, a child reports the memory of its parent as its own.
  const decoders = children()
    .map(statusOf)
    .filter((status) => status.startsWith('Name:\tffmpeg'));
  const now = decoders.reduce((sum, status) => sum + megabytesOf(status, 'RssAnon'), 0);
  ffmpegPeakMB = Math.max(ffmpegPeakMB, now);
}, 5);
const answers = Object.fromEntries(
  await Promise.all(files.map(async (file) => [file, await extract(new Uint8Array(readFileSync(file)))] as const)),
);
clearInterval(timer);
await pool.close();
const report: PoolReport = { answers, idleMB, peakMB: megabytesOf(statusOf('self'), 'VmHWM'), ffmpegPeakMB };
console.log(JSON.stringify(report));
