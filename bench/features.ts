/**
 * Measures FLAC files to tiles: ours, librosa, torchaudio and ffmpeg per file, with one core each, in turns in one run. Then it
 * measures ours with one and two workers and its memory, and the path through the services (bucket, Kafka, shards) on this machine.
 *
 *   npm run bench -- features [--files 40] [--repeats 9] [--objects 3000] [--json FILE] [--results docs/results.md]
 *
 * Peers run in the Python of BENCH_PYTHON (`python3 -m venv venv && venv/bin/pip install -r bench/peers/requirements.txt`);
 * a missing peer is named and left out. Times are wall-clock seconds. If `taskset` exists, everything is pinned to one core.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { decodeAudio } from '#audio/decode/decode-audio.js';
import { extractFeatures, subtractMean } from '#audio/extract-features.js';
import { featureSettings } from '#audio/feature-settings.js';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import { resample } from '#audio/spectrogram/resample.js';
import { spectrogram } from '#audio/spectrogram/spectrogram.js';
import { cutTiles } from '#audio/spectrogram/tiles.js';
import { measurePool, type PoolMeasurement } from './features-pool.js';
import type { ServiceThroughput } from './features-service.js';
import { startPeer } from './peer.js';
import { makeSpeechFiles, PIECE_SEC } from './speech-files.js';
import { type BenchRow, markdownTable, median, row } from './table.js';

type Seconds = Record<'decode' | 'resample' | 'tiles' | 'all', number>;

interface Contender {
  name: string;
  versions: string;
  run(): Promise<Seconds>;
  /** Tiles of all files from the last run, [tiles, rows, width] */
  tiles(): Promise<Uint8Array>;
  close(): void;
}

const settings = featureSettings();
/** Rows below 6.9 kHz, where every resampler should be flat. */
const COMPARED_ROWS = 80;

export async function benchFeatures(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      files: { type: 'string', default: '40' },
      repeats: { type: 'string', default: '9' },
      objects: { type: 'string', default: '3000' },
      json: { type: 'string' },
      results: { type: 'string' },
    },
  });
  const folder = mkdtempSync(join(tmpdir(), 'undertone-bench-'));
  try {
    const files = await makeSpeechFiles(folder, Number(values.files));
    const pool = await measurePool(files, folder);
    const service = measureService(files, values.objects);
    const pinned = pinToOneCore();
    const contenders = [ours(files), ...(await peers(files, folder))];
    const seconds = await inTurns(contenders, Number(values.repeats));
    const agreement = await agreementWithOurs(contenders);
    for (const contender of contenders) contender.close();

    const perFileMs = (contender: Contender, stage: keyof Seconds) =>
      (1000 * median((seconds.get(contender) as Seconds[]).map((each) => each[stage]))) / files.length;
    const [first, ...others] = contenders as [Contender, ...Contender[]];
    const stageRow = (name: string, stage: keyof Seconds) => {
      const measured = others.map((peer) => [peer.name, perFileMs(peer, stage)] as const).filter(([, ms]) => ms > 0);
      return row(name, `ms per ${PIECE_SEC} s`, perFileMs(first, stage), Object.fromEntries(measured));
    };
    const rows: BenchRow[] = [
      stageRow('FLAC to tiles', 'all'),
      stageRow('decode FLAC', 'decode'),
      stageRow('mean, resample 16 to 22 kHz', 'resample'),
      stageRow('transform, rows, decibels, tiles', 'tiles'),
      ...pool.rows,
      ...serviceRows(service, pool),
    ];
    const table = markdownTable(rows);
    console.log(`${table}\n`);
    for (const line of agreement) console.log(line);
    if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
    if (values.results) writeFileSync(values.results, resultsPage({ table, agreement, contenders, files: files.length, pinned }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function measureService(files: string[], objects: string): ServiceThroughput {
  const child = fileURLToPath(new URL('./features-service.js', import.meta.url));
  const printed = execFileSync(process.execPath, [child, objects, ...files], { encoding: 'utf8' });
  return JSON.parse(printed.trimEnd().split('\n').at(-1) ?? '') as ServiceThroughput;
}

/** Compares with the same work in one process, from bytes in memory to tiles in memory. */
function serviceRows(service: ServiceThroughput, { audioPerSec, audioPerCpuSec }: PoolMeasurement): BenchRow[] {
  const ms = (audioPerSec: number): number => (1000 * PIECE_SEC) / audioPerSec;
  const wall = { 'in process': ms(audioPerSec) };
  return [
    row('bucket to Kafka to shards, servers and ingest on the same cores', `ms per ${PIECE_SEC} s`, ms(service.bothAudioPerSec), wall),
    row('the same, all announced before', `ms per ${PIECE_SEC} s`, ms(service.featuresAudioPerSec), wall),
    row('the same, of the features process alone', `CPU ms per ${PIECE_SEC} s`, ms(service.featuresAudioPerCpuSec), {
      'in process': ms(audioPerCpuSec),
    }),
    row('resident meanwhile', 'MiB', service.featuresPeakMiB),
  ];
}

function ours(files: string[]): Contender {
  let last: Uint8Array[] = [];
  const timed = async (): Promise<Seconds> => {
    const seconds: Seconds = { decode: 0, resample: 0, tiles: 0, all: 0 };
    last = [];
    for (const file of files) {
      const begun = performance.now();
      const { tiles } = await extractFeatures(readFileSync(file), settings, { silence: 'none', ffmpeg: null });
      seconds.all += (performance.now() - begun) / 1000;
      last.push(tiles);
    }
    // Runs the stages again one by one. Their sum excludes the work between them.
    for (const file of files) {
      const begun = performance.now();
      const { samples, sampleRateHz } = await decodeAudio(readFileSync(file), { ...settings, timeoutMs: 1_000, ffmpeg: null });
      const decoded = performance.now();
      subtractMean(samples);
      const resampled = resample(samples, sampleRateHz);
      const atRate = performance.now();
      cutTiles(spectrogram(resampled, settings), settings);
      seconds.decode += (decoded - begun) / 1000;
      seconds.resample += (atRate - decoded) / 1000;
      seconds.tiles += (performance.now() - atRate) / 1000;
    }
    return seconds;
  };
  return {
    name: 'ours',
    versions: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
    run: timed,
    tiles: () => Promise.resolve(Buffer.concat(last)),
    close: () => undefined,
  };
}

async function peers(files: string[], folder: string): Promise<Contender[]> {
  const found: Contender[] = [];
  for (const name of ['librosa', 'torchaudio'] as const) {
    const contender = await pythonPeer(name, files, folder);
    if (contender) found.push(contender);
    else console.log(`${name} is left out: BENCH_PYTHON names no Python that has it (bench/peers/requirements.txt)`);
  }
  const ffmpeg = chooseFfmpeg();
  if (ffmpeg) found.push(ffmpegPeer(ffmpeg, files));
  return found;
}

async function pythonPeer(name: string, files: string[], folder: string): Promise<Contender | null> {
  const threads = Object.fromEntries(['OMP', 'MKL', 'OPENBLAS', 'NUMBA'].map((library) => [`${library}_NUM_THREADS`, '1']));
  const python = process.env['BENCH_PYTHON'] ?? 'python3';
  const { ask, close } = startPeer(python, ['bench/peers/features.py', name, ...files], threads);
  const versions = await ask('versions').catch(() => null);
  if (typeof versions !== 'string') return null;
  return {
    name,
    versions,
    run: async () => (await ask('run')) as Seconds,
    tiles: async () => {
      const path = join(folder, `${name}.npy`);
      await ask(`save ${path}`);
      const file = readFileSync(path);
      return file.subarray(10 + file.readUInt16LE(8));
    },
    close,
  };
}

/** Starts a process per file to decode and resample, followed by our spectrogram. */
function ffmpegPeer(ffmpeg: { path: string; version: string }, files: string[]): Contender {
  let last: Uint8Array[] = [];
  return {
    name: 'ffmpeg per file',
    versions: `ffmpeg ${ffmpeg.version}`,
    run: () => {
      const seconds: Seconds = { decode: 0, resample: 0, tiles: 0, all: 0 };
      last = [];
      for (const file of files) {
        const begun = performance.now();
        const raw = spawnSync(ffmpeg.path, [...'-v error -threads 1 -i'.split(' '), file, ...'-ar 22000 -ac 1 -f f32le -'.split(' ')], {
          maxBuffer: 1 << 28,
        }).stdout;
        const samples = new Float32Array(new Uint8Array(raw).buffer);
        subtractMean(samples);
        last.push(cutTiles(spectrogram(samples, settings), settings).tiles);
        seconds.all += (performance.now() - begun) / 1000;
      }
      return Promise.resolve(seconds);
    },
    tiles: () => Promise.resolve(Buffer.concat(last)),
    close: () => undefined,
  };
}

/** Runs one round of each contender to warm up, then each in turn. */
async function inTurns(contenders: Contender[], repeats: number): Promise<Map<Contender, Seconds[]>> {
  const seconds = new Map(contenders.map((contender) => [contender, [] as Seconds[]]));
  for (let round = -1; round < repeats; round++) {
    for (const contender of contenders) {
      const measured = await contender.run();
      if (round >= 0) seconds.get(contender)?.push(measured);
    }
    process.stderr.write(`\rround ${round + 1} of ${repeats} `);
  }
  process.stderr.write('\n');
  return seconds;
}

async function agreementWithOurs([first, ...others]: Contender[]): Promise<string[]> {
  const expected = (await first?.tiles()) ?? new Uint8Array();
  return Promise.all(
    others.map(async (peer) => {
      const got = await peer.tiles();
      if (got.length !== expected.length) return `${peer.name}: ${got.length} bytes of tiles, ours ${expected.length}`;
      let [close, compared] = [0, 0];
      for (let i = 0; i < got.length; i++) {
        if (Math.floor(i / settings.width) % settings.rows >= COMPARED_ROWS) continue;
        compared++;
        if (Math.abs((got[i] as number) - (expected[i] as number)) <= 1) close++;
      }
      return `${peer.name}: ${((100 * close) / compared).toFixed(2)} % of the pixels below 6.9 kHz within 1 of 255 of ours`;
    }),
  );
}

/** @returns true if this process and its children now stay on one core */
function pinToOneCore(): boolean {
  return spawnSync('taskset', ['-a', '-cp', String(cpus().length - 1), String(process.pid)]).status === 0;
}

function resultsPage(what: { table: string; agreement: string[]; contenders: Contender[]; files: number; pinned: boolean }): string {
  const cpu = cpus();
  return [
    '# Results of the features bench',
    '',
    'This page is for whoever asks how fast Undertone makes tiles. It compares features with librosa, torchaudio and ffmpeg on one machine.',
    '[results-training.md](results-training.md) has the training step.',
    '',
    "`npm run bench -- features --results docs/results.md` writes this page. Brackets hold the peer's value divided by ours: above 1, ours is",
    'faster. Values are medians. Another machine, or a busy one, gives other values; the ratios differ less. "In process" is ours on two',
    'workers, from bytes in memory to tiles in memory.',
    '',
    `${new Date().toISOString().slice(0, 10)}, ${cpu[0]?.model ?? 'unknown processor'}, ${cpu.length} cores${what.pinned ? ', each contender on one' : ', not pinned to one core'};`,
    `${what.files} FLAC files of ${PIECE_SEC} s at 16 kHz.`,
    '',
    what.table,
    '',
    ...what.contenders.map(({ name, versions }) => `- ${name}: ${versions}`),
    '',
    ...what.agreement.map((line) => `- ${line}`),
    '',
    'The rows "bucket to Kafka to shards" go through the services. Ingest lists FLAC files of 250 kB each and announces them. Features reads',
    'them with two workers, cuts them to tiles, and stores shards of 1024 tiles. The object store, the broker and ingest take their share of',
    'the same cores. If they run on other machines, the row of the features process alone counts.',
    '',
    'torchaudio resamples by its default, a filter of 11 dB. Ours has 96 dB, and soxr HQ has more. Ours checks every frame by its CRC and the',
    'whole by its MD5. libsndfile does not check the MD5.',
    '',
  ].join('\n');
}
