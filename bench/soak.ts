/**
 * Checks that memory stays flat over half an hour of steady drops into the five services. A recording comes every half second;
 * some replace older ones, and some are deleted. The acted sample corpus adds labels. A tiny network trains all the time and is
 * saved, scored and evaluated, and shards are compacted every minute. Linux only, because it reads resident memory from /proc.
 *
 *   npm run bench -- soak [--minutes 30] [--results docs/results-streaming.md]
 */
import { globSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { corpusKey } from '#contracts/object-keys.js';
import startServers from '../test/embedded-stack.js';
import { RunningPipeline, type ServiceName } from '../test/integration/running-pipeline.js';
import { readMetric } from './read-metric.js';
import { SteadyDrops } from './steady-drops.js';
import { writeSection } from './write-section.js';

const services: ServiceName[] = ['ingest', 'features', 'trainer', 'evaluator', 'predictor'];
const sampleEveryMs = 10_000;
const dropEveryMs = 500;
/** The share of time before the slope counts, in which caches fill and code is compiled. */
const warmUpShare = 1 / 3;

interface Sample {
  atSec: number;
  /** MiB of each process. */
  resident: Record<string, number>;
  /** MiB of V8's used heap, for each service. */
  heap: Record<string, number>;
}

export async function benchSoak(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { minutes: { type: 'string', default: '30' }, results: { type: 'string', default: '' } },
  });
  const stop = await startServers();
  const pipeline = new RunningPipeline({
    ROUND_STEPS: '100',
    ROUND_QUIET: '0.1',
    CHECKPOINT_STEPS: '100',
    SHARD_MAX_AGE: '5',
    RECONCILE_INTERVAL: '10',
    // Ten times as often as by default, so that a leak of compaction would show.
    COMPACTION_INTERVAL: '60',
    LOG_LEVEL: 'info',
  });
  try {
    await pipeline.prepare();
    await putLabelledCorpus(pipeline);
    pipeline.start(...services);
    const drops = new SteadyDrops(pipeline, dropEveryMs, { overwrites: 0.2, deletions: 0.15 });
    await drops.start();
    const samples = await sampleFor(pipeline, Number(values.minutes) * 60);
    await drops.stop();
    const report = reportOf(pipeline, samples, { drops: drops.count, minutes: Number(values.minutes) });
    console.log(report);
    if (values.results) writeSection(values.results, 'Soak', report);
  } finally {
    await pipeline.close();
    await stop();
  }
}

async function putLabelledCorpus(pipeline: RunningPipeline): Promise<void> {
  const root = 'samples/acted';
  for (const file of [`${root}/corpus.json`, `${root}/manifest.csv`, ...globSync(`${root}/audio/[fm]0[12]/*.flac`)])
    await pipeline.store.put(corpusKey('acted', relative(root, file)), readFileSync(file));
}

async function sampleFor(pipeline: RunningPipeline, seconds: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  await pipeline.until('a first round', () => pipeline.overview.snapshot().training.finished !== null, 900);
  const startedAt = performance.now();
  for (let atSec = 0; atSec < seconds; atSec = (performance.now() - startedAt) / 1000) {
    await pipeline.until('all services', () => true);
    samples.push({ atSec, resident: residentOf(pipeline), heap: await heapsOf(pipeline) });
    await sleep(sampleEveryMs);
  }
  return samples;
}

function residentOf(pipeline: RunningPipeline): Record<string, number> {
  const pids = services.map((service): [string, number | undefined] => [service, pipeline.pidOf(service)]);
  const trainer = pipeline.pidOf('trainer');
  const [compute] = readFileSync(`/proc/${trainer}/task/${trainer}/children`, 'utf8').trim().split(' ');
  return Object.fromEntries(
    [...pids, ["trainer's compute", Number(compute)]].map(([name, pid]) => {
      const [, kib = '0'] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
      return [name, Number(kib) / 1024];
    }),
  );
}

async function heapsOf(pipeline: RunningPipeline): Promise<Record<string, number>> {
  const heaps = services.map(async (service): Promise<[string, number]> => {
    return [service, (await readMetric(pipeline.url(service), 'nodejs_heap_size_used_bytes')) / 2 ** 20];
  });
  return Object.fromEntries(await Promise.all(heaps));
}

/** MiB per hour, by least squares over the samples after the warm-up. */
function slopeOf(points: [number, number][]): number {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const covariance = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const variance = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return (covariance / variance) * 3600;
}

function reportOf(pipeline: RunningPipeline, samples: Sample[], { drops, minutes }: { drops: number; minutes: number }): string {
  const warm = samples.filter(({ atSec }) => atSec >= (samples.at(-1)?.atSec ?? 0) * warmUpShare);
  const rows = Object.keys(samples[0]?.resident ?? {}).map((name) => {
    const of = (sample: Sample | undefined): string => (sample?.resident[name] ?? NaN).toFixed(0);
    const slope = slopeOf(warm.map(({ atSec, resident }) => [atSec, resident[name] ?? NaN]));
    const heapSlope = slopeOf(warm.map(({ atSec, heap }) => [atSec, heap[name] ?? NaN]));
    const heap = Number.isNaN(heapSlope) ? '' : signed(heapSlope);
    return `| ${name} | ${of(samples[0])} | ${of(warm[0])} | ${of(samples.at(-1))} | ${signed(slope)} | ${heap} |`;
  });
  const { utterances, deadLetters, training, history } = pipeline.overview.snapshot();
  return [
    `${minutes} minutes, ${drops} drops, one in ${(dropEveryMs / 1000).toFixed(1)} s at most: ${utterances.live} recordings alive at the end, ` +
      `${deadLetters.total} dead letters, ${training.finished?.round ?? 0} rounds, ${history.length} points of evaluation; load ${loadavg()[0]?.toFixed(1)}. ` +
      `Slopes by least squares over the last ${Math.round((1 - warmUpShare) * 100)} % of the time.`,
    '',
    '| process | RSS at first, MiB | when warm | at last | RSS, MiB an hour | heap, MiB an hour |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    ...rows,
  ].join('\n');
}

const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`;
