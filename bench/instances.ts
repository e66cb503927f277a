/**
 * Measures features in one, two and four processes of one consumer group, on the same recordings, which are all announced
 * beforehand: the speed at which the lag drains, the rebalances of the group, and the records that came twice. Each process has
 * one decoder thread, so that the bench compares processes.
 *
 *   npm run bench -- instances [--objects 2000] [--counts 1,2,4] [--results docs/results-streaming.md]
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { corpusKey } from '#contracts/object-keys.js';
import { utterances } from '#contracts/utterances.js';
import { topicName } from '#contracts/topic.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { createLogger } from '#service/logger.js';
import { activeGroups, groupLag } from '#streaming/group-lag.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { featuresGroupPrefix } from '#streaming/consumer-groups.js';
import startServers from '../test/embedded-stack.js';
import { RunningPipeline, type Twin } from '../test/integration/running-pipeline.js';
import { lineChart } from './line-chart.js';
import { readMetric } from './read-metric.js';
import { sampleContents } from './steady-drops.js';
import { writeSection } from './write-section.js';

const sampleEveryMs = 1_000;
const putsAtOnce = 8;

interface Sample {
  atSec: number;
  /** Number of uncommitted records. */
  lag: number;
  done: number;
  audioSec: number;
  tiles: number;
}

interface Run {
  processes: number;
  samples: Sample[];
  /** Number of joins beyond each member's first. */
  rejoins: number;
  twice: number;
}

export async function benchInstances(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      objects: { type: 'string', default: '2000' },
      counts: { type: 'string', default: '1,2,4' },
      results: { type: 'string', default: '' },
    },
  });
  const stop = await startServers();
  const runs: Run[] = [];
  try {
    for (const processes of values.counts.split(',').map(Number)) {
      runs.push(await measure(processes, Number(values.objects)));
      console.log(rowOf(runs.at(-1) as Run));
    }
  } finally {
    await stop();
  }
  const report = reportOf(runs, Number(values.objects));
  console.log(report);
  if (!values.results) return;
  const picture = 'images/instances-lag.svg';
  const lines = runs.map(({ processes, samples }) => ({
    name: `${processes} process${processes > 1 ? 'es' : ''}`,
    points: samples.map(({ atSec, lag }): [number, number] => [atSec, lag]),
  }));
  writeFileSync(
    join(dirname(values.results), picture),
    lineChart(lines, { x: 'seconds since the start of the processes', y: 'lag, records' }),
  );
  writeSection(values.results, 'Instances', `${report}\n\n![Lag over time for each number of processes](${picture})`);
}

async function measure(processes: number, objects: number): Promise<Run> {
  const pipeline = new RunningPipeline({ FEATURE_WORKERS: '1', SHARD_TILES: '256', SHARD_MAX_AGE: '2', RECONCILE_INTERVAL: '600' });
  try {
    await pipeline.prepare();
    await announceAll(pipeline, objects);
    pipeline.start('features');
    const twins = Array.from({ length: processes - 1 }, (_, n): Twin => `features-${n + 2}`);
    const urls = [pipeline.url('features'), ...(await Promise.all(twins.map((twin) => pipeline.startTwin(twin))))];
    const samples = await sampleUntilDone(pipeline, urls, objects);
    const logs = (['features', ...twins] as const).map((name) => pipeline.logOf(name));
    const made = logs.flatMap((log) => [...log.matchAll(/"utteranceId":"([^"]+)".*"msg":"made tiles"/g)].map(([, id]) => id));
    const joins = logs.map((log) => log.split('"msg":"joined its group"').length - 1);
    return {
      processes,
      samples,
      rejoins: joins.reduce((sum, count) => sum + count - 1, 0),
      twice: made.length - new Set(made).size,
    };
  } finally {
    await pipeline.close();
  }
}

async function announceAll(pipeline: RunningPipeline, objects: number): Promise<void> {
  const contents = sampleContents();
  const waiting = Array.from({ length: objects }, (_, n) => n);
  const put = async (): Promise<void> => {
    for (let n = waiting.shift(); n !== undefined; n = waiting.shift())
      await pipeline.store.put(corpusKey('bench', `${n}.flac`), contents[n % contents.length] as Buffer);
  };
  await Promise.all(Array.from({ length: putsAtOnce }, put));
  pipeline.start('ingest');
  await pipeline.until('all announced', () => pipeline.overview.reconcile().utterances === objects, 600);
  await pipeline.kill('ingest');
}

async function sampleUntilDone(pipeline: RunningPipeline, urls: string[], objects: number): Promise<Sample[]> {
  const kafka = kafkaClient(readKafkaConnection(pipeline.environment), 'undertone-bench', createLogger('bench', 'silent'));
  const topic = topicName(utterances, pipeline.prefix);
  const sumOf = async (name: string): Promise<number> =>
    (await Promise.all(urls.map((url) => readMetric(url, `undertone_features_${name}_total`)))).reduce((sum, value) => sum + value, 0);
  const startedAt = performance.now();
  const samples: Sample[] = [];
  for (let lag = objects; lag > 0; ) {
    await sleep(sampleEveryMs - ((performance.now() - startedAt) % sampleEveryMs));
    const [group] = await activeGroups(kafka, featuresGroupPrefix(pipeline.prefix));
    lag = group === undefined ? objects : await groupLag(kafka, group, topic);
    const [done, audioSec, tiles] = await Promise.all([sumOf('utterances'), sumOf('audio_seconds'), sumOf('tiles')]);
    samples.push({ atSec: (performance.now() - startedAt) / 1000, lag, done: done ?? 0, audioSec: audioSec ?? 0, tiles: tiles ?? 0 });
  }
  return samples;
}

/** Excludes the first and the last tenth, where processes start and the last shards wait for their age limit. */
function throughput(samples: Sample[]): { audioSecPerSec: number; tilesPerSec: number } {
  const total = samples.at(-1)?.done ?? 0;
  const begin = samples.find(({ done }) => done >= 0.1 * total);
  const end = samples.find(({ done }) => done >= 0.9 * total);
  if (!begin || !end || begin === end) return { audioSecPerSec: NaN, tilesPerSec: NaN };
  const seconds = end.atSec - begin.atSec;
  // Tiles count when their shard is announced, so the count rises in steps.
  const tilesPerAudioSec = (samples.at(-1)?.tiles ?? 0) / (samples.at(-1)?.audioSec ?? 1);
  const audioSecPerSec = (end.audioSec - begin.audioSec) / seconds;
  return { audioSecPerSec, tilesPerSec: audioSecPerSec * tilesPerAudioSec };
}

function rowOf({ processes, samples, rejoins, twice }: Run): string {
  const { audioSecPerSec, tilesPerSec } = throughput(samples);
  const drainedSec = samples.at(-1)?.atSec ?? NaN;
  return `| ${processes} | ${audioSecPerSec.toFixed(0)} | ${tilesPerSec.toFixed(0)} | ${drainedSec.toFixed(0)} | ${rejoins} | ${twice} |`;
}

function reportOf(runs: Run[], objects: number): string {
  const audioSec = Math.max(...runs.map(({ samples }) => samples.at(-1)?.audioSec ?? 0));
  const heading = '| processes | audio s / s | tiles / s | lag 0 after, s | joined again | made twice |';
  const marks = [0, 0.25, 0.5, 0.75, 1];
  const lagAt = ({ samples }: Run, share: number): string => samples[Math.round(share * (samples.length - 1))]?.lag.toString() ?? '';
  return [
    `${objects} recordings of ${(audioSec / objects).toFixed(1)} s on average, four partitions, one decoder thread a process; ` +
      `${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)} at the end. Broker, store and all processes share them. Audio counts as often as it was made.`,
    '',
    heading,
    '| ---: | ---: | ---: | ---: | ---: | ---: |',
    ...runs.map(rowOf),
    '',
    `| processes | lag at ${marks.map((mark) => `${mark * 100} %`).join(' | ')} of the time |`,
    `| ---: | ${marks.map(() => '---:').join(' | ')} |`,
    ...runs.map((run) => `| ${run.processes} | ${marks.map((mark) => lagAt(run, mark)).join(' | ')} |`),
  ].join('\n');
}
