/** Real services give each utterance one trace, from the bucket to the evaluation. The services do not depend on the collector. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import type { Topic } from '#contracts/topic.js';
import { topics } from '#contracts/topics.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { TableFollower } from '#streaming/table-follower.js';
import { silent } from '../chaos/stream-under-test.js';
import { undertone } from './command-line.js';
import { putMadeCorpus, toneWav } from './made-corpus.js';
import { RunningPipeline, type ServiceName } from './running-pipeline.js';
import { SpanCollector, type CollectedSpan } from './span-collector.js';

const services = ['ingest', 'features', 'trainer', 'evaluator'] as const;
/** Time limit for a first model on a busy machine. */
const roundSec = 150;
const open: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function freshPipeline(settings: Record<string, string>): Promise<RunningPipeline> {
  const pipeline = new RunningPipeline(settings);
  open.push(() => pipeline.close());
  await pipeline.prepare();
  return pipeline;
}

async function freshCollector(): Promise<SpanCollector> {
  const collector = await new SpanCollector().start();
  open.push(() => collector.close());
  return collector;
}

/** True if a model of all utterances is evaluated. */
const evaluated = (pipeline: RunningPipeline, utterances: number) => () => {
  const { checkpoint } = pipeline.overview.snapshot();
  if (checkpoint?.viewUtterances !== utterances) return false;
  const done = new Set(pipeline.overview.evaluationsOf(checkpoint.runId, checkpoint.step).map(({ task }) => task));
  return checkpoint.predictedTasks.every((task) => done.has(task));
};

/** A span and its parents by name and service, with the first span last. */
function lineOf(span: CollectedSpan | undefined, all: CollectedSpan[]): string[] {
  if (!span) return [];
  const own = `${span.service.replace('undertone-', '')}: ${span.name}`;
  return [
    ...lineOf(
      all.find(({ spanId }) => spanId === span.parentSpanId),
      all,
    ),
    own,
  ];
}

describe('an utterance', () => {
  it('has one trace, from the event or the listing to its first round and the evaluation', async () => {
    const collector = await freshCollector();
    const pipeline = await freshPipeline({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint, RECONCILE_INTERVAL: '3600' });
    const { store, prefix } = pipeline;
    const { paths } = await putMadeCorpus(store, 'made');
    pipeline.start(...services);
    await pipeline.until('the corpus learnt', evaluated(pipeline, paths.length), roundSec);
    const key = corpusKey('late', 'one.wav');
    await store.put(key, toneWav({ pitchHz: 210 }));
    await notify(pipeline, [key]);
    await pipeline.until('one more', evaluated(pipeline, paths.length + 1), roundSec);
    for (const service of services) expect(await pipeline.stopGently(service), `${service} at SIGTERM`).toBe(0);

    const topic = (noun: string): string => `${prefix}.${noun}.v1`;
    const fromHint = (...before: string[]): string[] => [
      ...before,
      `ingest: publish ${topic('object-hints')}`,
      `ingest: process ${topic('object-hints')}`,
      `ingest: publish ${topic('utterances')}`,
      `features: process ${topic('utterances')}`,
      'features: seal',
      'trainer: learn',
      'evaluator: evaluate',
    ];
    const traced = (utteranceId: string): { trace: CollectedSpan[]; lines: string[][] } => {
      const ids = collector.tracesOf(utteranceId);
      expect(ids, `traces of ${utteranceId}`).toHaveLength(1);
      const trace = collector.trace(ids[0] ?? '');
      return { trace, lines: trace.filter(({ name }) => name === 'evaluate').map((span) => lineOf(span, trace)) };
    };

    const late = traced('late/one.wav');
    const event = [`ingest: publish ${topic('bucket-events')}`, `ingest: process ${topic('bucket-events')}`];
    expect(late.lines.length).toBeGreaterThan(0);
    for (const line of late.lines) expect(line).toEqual(fromHint(...event));
    const inFeatures = late.trace.filter(({ name }) => ['fetch', 'decode', 'extract'].includes(name));
    expect(inFeatures.map((span) => lineOf(span, late.trace).slice(-2))).toEqual(
      ['fetch', 'decode', 'extract'].map((name) => [`features: process ${topic('utterances')}`, `features: ${name}`]),
    );
    expect(late.trace.filter(({ name }) => name === 'learn')).toHaveLength(1);
    expect(late.trace.filter(({ failure }) => failure !== undefined)).toEqual([]);

    // The listing found the utterances of the corpus. They share a shard and a round, and each has its own trace.
    const own = paths.map((path) => ({ path, ...traced(`made/${path}`) }));
    expect(new Set(own.map(({ trace }) => trace[0]?.traceId)).size).toBe(paths.length);
    for (const { path, trace, lines } of own) {
      const isLearnt = !/^s[01]\//.test(path) && trace.some(({ name }) => name === 'learn');
      const wanted = fromHint().map((step) => (isLearnt ? step : step.replace('learn', 'hold out')));
      expect(lines.length, path).toBeGreaterThan(0);
      for (const line of lines) expect(line, path).toEqual(wanted);
    }
    // Speakers s0 and s1 are test and dev. A tenth of the other utterances is withheld.
    expect(own.filter(({ trace }) => trace.some(({ name }) => name === 'hold out')).length).toBeGreaterThanOrEqual(16);

    // Work for many utterances has its own traces with links.
    for (const [name, many] of [
      ['seal', 'seal shard'],
      ['learn', 'round'],
      ['evaluate', `process ${topic('predictions')}`],
    ]) {
      const span = late.trace.find((each) => each.name === name);
      const linked = collector.spans.find(({ spanId }) => spanId === span?.links[0]?.spanId);
      expect([linked?.name, linked?.traceId === span?.traceId]).toEqual([many, false]);
    }
    const round = collector.spans.findLast(({ name }) => name === 'round');
    expect(round?.links.map(({ traceId }) => traceId)).toEqual([late.trace[0]?.traceId]);
    const evaluations = collector.spans.find(
      ({ name, traceId }) => name === `publish ${topic('evaluations')}` && traceId === round?.traceId,
    );
    expect(lineOf(evaluations, collector.spans)).toEqual([
      'trainer: round',
      `trainer: publish ${topic('predictions')}`,
      `evaluator: process ${topic('predictions')}`,
      `evaluator: publish ${topic('evaluations')}`,
    ]);
    expect(collector.spans.find(({ name }) => name === `publish ${topic('utterances')}`)?.attributes).toMatchObject({
      'messaging.system': 'kafka',
      'messaging.destination.name': topic('utterances'),
      'messaging.operation.name': 'publish',
    });

    // The log has the trace id.
    const logged = jsonLines(pipeline.logOf('ingest')).find(({ msg, utteranceId }) => msg === 'ingested' && utteranceId === 'late/one.wav');
    expect(logged?.['traceId']).toBe(late.trace[0]?.traceId);
    const made = jsonLines(pipeline.logOf('features')).find(({ utteranceId }) => utteranceId === 'late/one.wav');
    expect(made?.['traceId']).toBe(late.trace[0]?.traceId);
  });

  it('continues its trace after a dead letter and a replay; objects of one event have separate traces', async () => {
    const collector = await freshCollector();
    const pipeline = await freshPipeline({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint, RECONCILE_INTERVAL: '3600' });
    const { store, overview } = pipeline;
    pipeline.start('ingest', 'features');
    await pipeline.until('both ready', () => isReady(pipeline, 'ingest', 'features'));
    const keys = ['bad.wav', 'good.wav'].map((path) => corpusKey('made', path));
    await store.put(keys[0] ?? '', 'no sound at all');
    await store.put(keys[1] ?? '', toneWav());
    await notify(pipeline, keys);
    await pipeline.until('both settled', () => overview.reconcile().inShards === 1 && overview.reconcile().deadLettered === 1);
    await store.put(keys[0] ?? '', toneWav());
    expect(await undertone(pipeline, 'replay')).toMatchObject({ code: 0 });
    await pipeline.until('both in shards', () => overview.reconcile().inShards === 2);
    for (const service of ['ingest', 'features'] as const) expect(await pipeline.stopGently(service)).toBe(0);

    const [bad = [], good = []] = ['made/bad.wav', 'made/good.wav'].map((id) => collector.tracesOf(id));
    expect([bad.length, good.length]).toEqual([1, 1]);
    expect(bad).not.toEqual(good);
    const trace = collector.trace(bad[0] ?? '');
    const failed = trace.find(({ failure }) => failure !== undefined);
    expect(failed?.attributes).toMatchObject({ 'error.type': 'AUDIO_NOT_RECOGNISED', 'undertone.utterance.id': 'made/bad.wav' });
    const sealed = lineOf(
      trace.find(({ name }) => name === 'seal'),
      trace,
    );
    // The parent of the replay's hint is the failed attempt.
    expect(sealed.filter((step) => step.includes('utterances.v1'))).toHaveLength(4);
    const warned = jsonLines(pipeline.logOf('features')).find(({ code }) => code === 'AUDIO_NOT_RECOGNISED');
    expect(warned).toMatchObject({ utteranceId: 'made/bad.wav', traceId: bad[0] });
    const event = collector.spans.find(({ name }) => name === `process ${pipeline.prefix}.bucket-events.v1`);
    for (const [id] of [bad, good])
      expect(collector.trace(id ?? '')[0]?.links).toEqual([{ traceId: event?.traceId, spanId: event?.spanId }]);
  });
});

describe('a collector', () => {
  it('that accepts nothing does not affect the services', async () => {
    // The collector accepts connections and never answers, which is worse than a refusal.
    const hanging = createServer().listen(0, '127.0.0.1');
    await once(hanging, 'listening');
    const connections = new Set<Socket>();
    hanging.on('connection', (socket) => connections.add(socket));
    open.push(() => {
      for (const socket of connections) socket.destroy();
      return new Promise((resolve) => hanging.close(resolve));
    });
    const endpoint = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}`;
    const pipeline = await freshPipeline({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_TIMEOUT: '2000' });
    const { paths } = await putMadeCorpus(pipeline.store, 'made');
    pipeline.start(...services);
    await pipeline.until('the corpus learnt', evaluated(pipeline, paths.length), roundSec);
    for (const service of services) expect(await pipeline.stopGently(service), `${service} at SIGTERM`).toBe(0);
    const complaints = jsonLines(pipeline.logOf('features')).filter(({ msg }) => String(msg).includes('so they are lost'));
    expect(complaints).toHaveLength(1);
  });

  it('that is not configured gets nothing, and no record has a header', async () => {
    const pipeline = await freshPipeline({ OTEL_EXPORTER_OTLP_ENDPOINT: '' });
    const { paths } = await putMadeCorpus(pipeline.store, 'made', { speakers: 3, each: 1 });
    await pipeline.store.put(corpusKey('made', 'bad.wav'), 'no sound at all');
    pipeline.start(...services);
    await pipeline.until('the corpus learnt', evaluated(pipeline, paths.length), roundSec);
    const headers = await headersOfAll(pipeline);
    expect(headers.length).toBeGreaterThan(2 * paths.length);
    expect(headers.filter((each) => Object.keys(each).length > 0)).toEqual([]);
    expect(jsonLines(pipeline.logOf('ingest')).filter((line) => 'traceId' in line)).toEqual([]);
  });
});

/** Sends an event over HTTP, like S3. */
async function notify(pipeline: RunningPipeline, keys: string[]): Promise<void> {
  const Records = keys.map((key) => ({
    eventName: 'ObjectCreated:Put',
    eventSource: 'aws:s3',
    s3: { bucket: { name: pipeline.prefix }, object: { key, sequencer: '01' } },
  }));
  const answer = await fetch(`${pipeline.url('ingest')}/bucket-events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ Records }),
  });
  expect(answer.status).toBe(202);
}

async function isReady(pipeline: RunningPipeline, ...names: ServiceName[]): Promise<boolean> {
  const answers = names.map((name) =>
    fetch(`${pipeline.url(name)}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return (await Promise.all(answers)).every(Boolean);
}

const jsonLines = (log: string): Record<string, unknown>[] =>
  log.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []));

/** The headers of every record of every topic. */
async function headersOfAll({ environment, prefix }: RunningPipeline): Promise<object[]> {
  const headers: object[] = [];
  const kafka = kafkaClient(readKafkaConnection(environment), 'undertone-test', silent);
  const follower = new TableFollower(kafka, prefix, 'headers', silent);
  for (const topic of topics) {
    follower.on(topic as unknown as Topic<unknown>, (_key, _fact, { headers: own }) => headers.push(own ?? {}));
  }
  await follower.start();
  await follower.stop();
  return headers;
}
