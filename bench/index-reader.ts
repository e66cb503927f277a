/**
 * Child process of the bench. Arguments: PREFIX topics|snapshot. It starts the index like the trainer, from the topics (and then
 * writes a snapshot) or from the existing snapshot. Its last line is an IndexMeasurement.
 */
import pino from 'pino';
import { deadLetters } from '#contracts/dead-letters.js';
import { indexSnapshotPrefix } from '#contracts/object-keys.js';
import { shardsLabelled, shardsUnlabelled } from '#contracts/shards.js';
import { utterances } from '#contracts/utterances.js';
import { readKafkaConnection, readStoreConnection } from '#service/connection-config.js';
import { ObjectStore } from '#storage/object-store.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { TableFollower } from '#streaming/table-follower.js';
import { linesOf } from '#index/index-contents.js';
import { IndexSnapshots } from '#index/index-snapshot.js';
import { TrainingIndex } from '#index/training-index.js';
import { madeShard, madeUtterance, UTTERANCES_PER_SHARD } from './made-utterances.js';
import { median } from './table.js';

export interface IndexMeasurement {
  startSec: number;
  restoreSec: number;
  heapMiB: number;
  residentMiB: number;
  shardMs: number;
  utteranceUs: number;
  countsUs: number;
  viewMs: number;
  writeSec: number;
  dumpSec: number;
  snapshotMB: number;
  digest: string;
}

const NEW_SHARDS = 25;
const MIB = 2 ** 20;

async function measure(prefix: string, from: string): Promise<IndexMeasurement> {
  const logger = pino({ level: 'error' }, pino.destination(2));
  const kafka = kafkaClient(readKafkaConnection(), 'undertone-bench', logger);
  const store = new ObjectStore(readStoreConnection());
  await store.ensureBucket();
  const topics = [utterances, shardsLabelled, shardsUnlabelled, deadLetters];
  const snapshots = new IndexSnapshots({ store, kafka, topicPrefix: prefix, topics, logger });
  let index = new TrainingIndex();
  const follower = new TableFollower(kafka, prefix, 'bench', logger)
    .on(utterances, (id, fact) => index.applyUtterance(id, fact))
    .on(shardsLabelled, (id, fact) => index.applyShard(id, fact))
    .on(shardsUnlabelled, (id, fact) => index.applyShard(id, fact))
    .on(deadLetters, (_key, fact) => fact && index.applyDeadLetter(fact));

  const begun = performance.now();
  const restored = await snapshots.restore();
  if (restored) index = restored.index;
  if (Boolean(restored) !== (from === 'snapshot')) throw new Error(`the index did not start from ${from}`);
  const restoreSec = secondsSince(begun);
  await follower.start(restored?.positions);
  index.caughtUp();
  const startSec = secondsSince(begun);
  const residentMiB = process.memoryUsage().rss / MIB;
  globalThis.gc?.();
  const heapMiB = process.memoryUsage().heapUsed / MIB;
  const { digest } = index;

  const writeBegun = performance.now();
  if (!restored) await snapshots.write(index, follower);
  const writeSec = secondsSince(writeBegun);
  let snapshotMB = 0;
  for await (const { sizeBytes } of store.list(indexSnapshotPrefix(prefix))) snapshotMB = sizeBytes / 1e6;
  const dumpSec = msOf(() => linesOf(index)) / 1000;
  await follower.stop();
  store.close();
  const costs = costsOf(index);
  return { startSec, restoreSec, heapMiB, residentMiB, ...costs, writeSec, dumpSec, snapshotMB, digest };
}

function costsOf(index: TrainingIndex): Pick<IndexMeasurement, 'shardMs' | 'utteranceUs' | 'countsUs' | 'viewMs'> {
  const [first, end] = [1_000_000, 1_000_000 + NEW_SHARDS];
  const shardMs: number[] = [];
  const utteranceMs: number[] = [];
  for (let shard = first; shard < end; shard++) {
    const fact = madeShard(shard, end * UTTERANCES_PER_SHARD);
    const facts = fact.utterances.map((_, at) => madeUtterance(shard * UTTERANCES_PER_SHARD + at));
    utteranceMs.push(msOf(() => facts.forEach((each) => index.applyUtterance(each.utteranceId, each))));
    shardMs.push(msOf(() => index.applyShard(fact.shardId, fact)));
  }
  index.counts('emotion');
  const reads = 10_000;
  const countsMs = msOf(() => {
    for (let read = 0; read < reads; read++) if (index.counts('emotion').labelled < 0 || index.digest === '') throw new Error('never');
  });
  const viewMs = Array.from({ length: 3 }, () => msOf(() => index.view()));
  return {
    shardMs: median(shardMs),
    utteranceUs: (1000 * median(utteranceMs)) / UTTERANCES_PER_SHARD,
    countsUs: (1000 * countsMs) / reads,
    viewMs: median(viewMs),
  };
}

function msOf(work: () => unknown): number {
  const begun = performance.now();
  work();
  return performance.now() - begun;
}

const secondsSince = (begun: number): number => (performance.now() - begun) / 1000;

const [prefix = '', from = ''] = process.argv.slice(2);
console.log(JSON.stringify(await measure(prefix, from)));
process.exit(0);
