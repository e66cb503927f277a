/** Each shard builder serves one partition, so a shard depends on one consumer's assignment only. */
import { afterEach, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { shardsUnlabelled, type ShardSealed } from '#contracts/shards.js';
import { utterances } from '#contracts/utterances.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { TableFollower } from '#streaming/table-follower.js';
import { silent } from '../chaos/stream-under-test.js';
import { toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
let follower: TableFollower;
afterEach(async () => {
  await follower.stop();
  await pipeline.close();
});

it('puts utterances of one partition into a shard, and seals it by age without further records', async () => {
  pipeline = new RunningPipeline({ SHARD_MAX_AGE: '2' });
  await pipeline.prepare();
  const partitionOf = new Map<string, number>();
  const shards: ShardSealed[] = [];
  const kafka = kafkaClient(readKafkaConnection(pipeline.environment), 'undertone-test', silent);
  follower = new TableFollower(kafka, pipeline.prefix, 'partitions', silent)
    .on(utterances, (id, _record, { partition }) => partitionOf.set(id, partition))
    .on(shardsUnlabelled, (_id, shard) => shard && shards.push(shard));
  await follower.start();
  const count = 24;
  for (let i = 0; i < count; i++) await pipeline.store.put(corpusKey('drop', `${i}.wav`), toneWav({ pitchHz: 120 + i }));
  pipeline.start('ingest');
  await pipeline.until('all records', () => partitionOf.size === count);
  expect(new Set(partitionOf.values()).size).toBe(utterances.storage.partitions);
  pipeline.start('features');
  await pipeline.until('all in shards', () => pipeline.overview.reconcile().inShards === count);
  await follower.sync();
  for (const shard of shards) expect(new Set(shard.utterances.map(({ utteranceId }) => partitionOf.get(utteranceId))).size).toBe(1);
  expect(
    shards.some((shard) => shard.utterances.length > 1),
    'some hold several',
  ).toBe(true);
});
