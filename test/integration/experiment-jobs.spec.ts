/** Jobs of an experiment over Kafka: a trainer takes them, is killed, and restarts. The numbers equal those of a local run. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readShard, writeShard } from '#audio/shard/shard-file.js';
import { evaluations, type ModelEvaluated } from '#contracts/evaluations.js';
import { experimentJobs } from '#contracts/experiment-jobs.js';
import { bucketMarkerKey, shardKey } from '#contracts/object-keys.js';
import { shardsLabelled } from '#contracts/shards.js';
import { utterances } from '#contracts/utterances.js';
import { readExperimentResults } from '#experiments/experiment-folder.js';
import type { ExperimentResults } from '#experiments/experiment-results.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { sha256Hex } from '#storage/object-store.js';
import { PrefixedStore } from '#storage/prefixed-store.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { TableFollower } from '#streaming/table-follower.js';
import { silent } from '../chaos/stream-under-test.js';
import { undertone } from './command-line.js';
import { madeRow, tileSettings } from './made-tiles.js';
import { RunningPipeline } from './running-pipeline.js';

const model = {
  filters: [2, 4],
  pools: [
    [2, 4],
    [2, 2],
  ],
  dense: 8,
  headFilters: 2,
  update: 'joint',
};
const pipeline = new RunningPipeline({ EXPERIMENT_WORKER: '1', ROUND_MIN_NEW: '1000000', COMPACTION_INTERVAL: '0', TF_BACKEND: 'cpu' });
const kafka = kafkaClient(readKafkaConnection({ ...pipeline.environment }), 'undertone-test', silent);
const folder = join(pipeline.logsDir, 'experiment');
const file = join(pipeline.logsDir, 'small.yaml');

beforeAll(async () => {
  await pipeline.prepare();
  // Settings of the trainer's own rounds, which run beside the jobs.
  writeFileSync(join(pipeline.logsDir, 'model.json'), JSON.stringify(model));
  await pipeline.store.put(bucketMarkerKey(pipeline.prefix), '{}');
  const rows = Array.from({ length: 6 * 12 }, (_, index) => {
    const [speaker, take] = [index % 6, Math.floor(index / 6)];
    return madeRow({ corpus: 'made', speaker, take, name: `s${speaker}-${take}.wav` });
  });
  const bytes = writeShard(rows, tileSettings);
  const [shardId, { settingsHash }] = [sha256Hex(bytes), readShard(bytes)];
  const shards = join(folder, 'shards');
  mkdirSync(shards, { recursive: true });
  writeFileSync(join(shards, 'made.arrow'), bytes);
  await pipeline.store.put(shardKey(settingsHash, shardId), bytes);
  const publisher = new Publisher(kafka, pipeline.prefix);
  await publisher.connect();
  const [ingestedAt, sealedAt] = [new Date().toISOString(), new Date().toISOString()];
  await publisher.publish(
    utterances,
    ...rows.map(({ utteranceId, version, speaker, gender, category }) => ({
      ...{ utteranceId, version, corpus: 'made', objectKey: `corpora/${utteranceId}`, etag: version, sizeBytes: 1 },
      labels: { speakerId: speaker!, gender: gender as 'male', category: category as 'sad', activation: 3, valence: 3 },
      ...{ split: 'train' as const, withheld: false, silence: 'none' as const, ingestedAt },
    })),
  );
  await publisher.publish(shardsLabelled, {
    ...{ shardId, stream: 'labelled', settingsHash, objectKey: shardKey(settingsHash, shardId), sizeBytes: bytes.byteLength },
    ...{ tileCount: rows.length, tile: [16, 32], sealedAt },
    utterances: rows.map(({ utteranceId, version }, firstRow) => ({
      utteranceId,
      version,
      firstRow,
      tileCount: 1,
      audioSec: 1,
      cutSec: 0,
    })),
  });
  await publisher.close();
  writeFileSync(
    file,
    [
      'name: small',
      'corpus: made',
      'folds: { count: 3 }',
      `model: ${JSON.stringify(model)}`,
      'batch: { labelled: 6, unlabelled: 2 }',
      'steps: 20',
      'checkEvery: 10',
      'references: [majority]',
      'rows: [{ id: gender, auxiliary: [gender] }]',
    ].join('\n'),
  );
});
afterAll(() => pipeline.close());

const numbers = (results: ExperimentResults | null) =>
  results?.results.map(({ job, predictions, curve, bestStep, evaluations: scores }) => ({
    ...{ job, predictions, curve, bestStep },
    scores: scores.map(({ evaluatedAt: _evaluatedAt, ...score }) => score),
  }));

it('gives the same digits as a local run when the trainer is killed in a job and restarts', async () => {
  const announced = new Map<string, ModelEvaluated>();
  const open = new Set<string>();
  let opened = 0;
  const follower = new TableFollower(kafka, pipeline.prefix, 'test-experiment', silent)
    .on(evaluations, (key, fact) => fact && announced.set(key, fact))
    .on(experimentJobs, (key, fact) => {
      if (fact) opened++;
      if (fact) open.add(key);
      else open.delete(key);
    });
  await follower.start();
  pipeline.start('trainer');
  const commanded = undertone(pipeline, 'experiment', file, '--out', join(folder, 'shared'));
  await pipeline.until('one job announced', () => announced.size > 0, 180);
  await pipeline.kill('trainer');
  pipeline.start('trainer');
  const { code, text, errors } = await commanded;
  expect(code, text + errors).toBe(0);
  expect(text).toMatch(/6 jobs for trainers[\s\S]*gender +█+ +3 of 3/);

  const local = await undertone(pipeline, 'experiment', file, '--local', '--shards', join(folder, 'shards'), '--out', join(folder, 'own'));
  expect(local.code, local.text + local.errors).toBe(0);
  const [, name = ''] = /results in experiments\/(\S+)\/ of the bucket/.exec(text) ?? [];
  const shared = await readExperimentResults(new PrefixedStore(pipeline.store, `experiments/${name}/`));
  const own = await readExperimentResults(join(folder, 'own'));
  expect(shared?.missing).toEqual([]);
  expect(numbers(shared)).toEqual(numbers(own));

  // Each job is announced under its id and closed, and continuous training ignores it.
  await pipeline.until('all jobs closed', () => opened === 6 && open.size === 0);
  const jobIds = new Set(shared?.results.map(({ job }) => job.jobId));
  expect(new Set([...announced.values()].map(({ runId }) => runId))).toEqual(jobIds);
  expect([...announced.values()].every(({ experiment }) => experiment === 'small')).toBe(true);
  expect(pipeline.overview.snapshot().evaluations).toEqual([]);
  await follower.stop();
}, 420_000);
