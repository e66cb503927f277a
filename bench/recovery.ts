/**
 * Measures the time from kill -9 until work continues, for features (alone, and with a twin in its consumer group), ingest, the
 * trainer and the broker. Processes are real, and a recording is dropped every 100 ms. The bench restarts a killed process at
 * once. The supervisor of `npm start` waits half a second more, and Kubernetes a little longer.
 *
 *   npm run bench -- recovery [--times 3] [--only features|ingest|trainer|broker]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { utteranceIdOf } from '#contracts/object-keys.js';
import { freePorts } from '#embedded/free-ports.js';
import { EmbeddedKafka } from '#embedded/kafka-broker.js';
import { provisionAll } from '#embedded/provision.js';
import startServers from '../test/embedded-stack.js';
import { RunningPipeline } from '../test/integration/running-pipeline.js';
import { readMetric } from './read-metric.js';
import { SteadyDrops } from './steady-drops.js';
import { median } from './table.js';

const dropEveryMs = 100;
const pollMs = 100;

interface Scenario {
  name: string;
  /** Kills and restarts, and resolves when work continues. */
  run: (pipeline: RunningPipeline, drops: SteadyDrops, broker: EmbeddedKafka) => Promise<void>;
}

const features = 'undertone_features_utterances_total';

async function replaceFeatures(pipeline: RunningPipeline): Promise<void> {
  const logBefore = pipeline.logOf('features').length;
  const killedAt = new Date().toISOString();
  await pipeline.kill('features');
  pipeline.start('features');
  const logged = (message: string): { time: string } | undefined =>
    pipeline
      .logOf('features')
      .slice(logBefore)
      .split('\n')
      .filter((line) => line.startsWith('{') && line.includes(`"msg":"${message}"`))
      .map((line) => JSON.parse(line) as { time: string })
      .find(({ time }) => time > killedAt);
  await until(() => logged('made tiles') !== undefined);
  const after = (message: string): string => ((Date.parse(logged(message)?.time ?? '') - Date.parse(killedAt)) / 1000).toFixed(1);
  console.log(`    process up after ${after('service started')} s, in the group after ${after('joined its group')} s`);
}

const scenarios: Scenario[] = [
  { name: 'features, alone: its replacement has made the first tiles', run: replaceFeatures },
  { name: 'features, with a twin: its replacement has made the first tiles', run: replaceFeatures },
  {
    name: 'ingest: the first recording dropped after it is announced',
    run: async (pipeline, drops) => {
      const killedAtMs = Date.now();
      await pipeline.kill('ingest');
      pipeline.start('ingest');
      await untilAnnounced(pipeline, drops, killedAtMs);
    },
  },
  {
    name: 'trainer: the next step is trained',
    run: async (pipeline) => {
      const killedAt = new Date().toISOString();
      await pipeline.kill('trainer');
      pipeline.start('trainer');
      await until(() => pipeline.overview.snapshot().training.steps.some(({ at }) => at > killedAt));
    },
  },
  {
    name: 'broker: the first recording dropped after it is announced',
    run: async (pipeline, drops, broker) => {
      const killedAtMs = Date.now();
      await broker.kill();
      await broker.start();
      await untilAnnounced(pipeline, drops, killedAtMs);
    },
  },
  {
    name: 'broker: features has made the next tiles',
    run: async (pipeline, _drops, broker) => {
      await broker.kill();
      const before = await readMetric(pipeline.url('features'), features);
      await broker.start();
      // More tiles than it may have had in work.
      await until(async () => (await readMetric(pipeline.url('features'), features)) > before + 4);
    },
  },
];

export async function benchRecovery(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { times: { type: 'string', default: '3' }, only: { type: 'string', default: '' } } });
  const folder = mkdtempSync(join(tmpdir(), 'undertone-recovery-'));
  const { kafka: install } = await provisionAll({ needKafka: true, needS3: false, needTensorflow: false, log: () => undefined });
  if (!install) throw new Error('This bench must kill its own broker: unset KAFKA_BROKERS.');
  const [port = 0, controllerPort = 0] = await freePorts(2);
  const broker = new EmbeddedKafka({ install, dataDir: join(folder, 'kafka'), port, controllerPort });
  await broker.start();
  process.env['KAFKA_BROKERS'] = broker.brokers;
  const stopStore = await startServers();
  const rows: string[] = [];
  try {
    for (const scenario of scenarios.filter(({ name }) => name.startsWith(values.only))) {
      const seconds = await measure(scenario, Number(values.times), broker);
      rows.push(`| ${scenario.name} | ${median(seconds).toFixed(1)} | ${Math.max(...seconds).toFixed(1)} |`);
    }
  } finally {
    await stopStore();
    await broker.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(['| after kill -9 of | median, s | longest, s |', '| --- | ---: | ---: |', ...rows].join('\n'));
}

async function measure({ name, run }: Scenario, times: number, broker: EmbeddedKafka): Promise<number[]> {
  const pipeline = new RunningPipeline({
    ROUND_STEPS: '100000',
    REPORT_STEPS: '1',
    ROUND_QUIET: '0.1',
    ROUND_MAX_WAIT: '5',
    RECONCILE_INTERVAL: '600',
  });
  await pipeline.prepare();
  const drops = new SteadyDrops(pipeline, dropEveryMs);
  const seconds: number[] = [];
  try {
    pipeline.start('ingest', 'features');
    if (name.startsWith('trainer')) pipeline.start('trainer');
    if (name.includes('twin')) await pipeline.startTwin('features-2');
    await drops.start();
    for (let n = 0; n < times; n++) {
      await settled(pipeline, name);
      const startedAt = performance.now();
      await run(pipeline, drops, broker);
      seconds.push((performance.now() - startedAt) / 1000);
      console.log(`${name}: ${seconds.at(-1)?.toFixed(1)} s`);
    }
  } finally {
    await drops.stop();
    await pipeline.close();
  }
  return seconds;
}

/** Waits until all services have worked for some seconds. */
async function settled(pipeline: RunningPipeline, name: string): Promise<void> {
  await pipeline.until('features at work', async () => (await readMetric(pipeline.url('features'), features)) > 0);
  if (name.startsWith('trainer')) await pipeline.until('training', () => pipeline.overview.snapshot().training.steps.length > 0);
  await sleep(4_000);
}

async function untilAnnounced(pipeline: RunningPipeline, drops: SteadyDrops, killedAtMs: number): Promise<void> {
  await until(() =>
    [...drops.droppedAt].some(([key, atMs]) => {
      const [, corpus = '', ...path] = key.split('/');
      return atMs > killedAtMs && pipeline.overview.knows(utteranceIdOf(corpus, path.join('/')));
    }),
  );
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('work did not continue within two minutes');
    await sleep(pollMs);
  }
}
