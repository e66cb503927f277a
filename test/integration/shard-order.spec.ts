/** A shard is put first, then announced, then its records are committed: seen from outside, on a real process. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import { shardsUnlabelled } from '#contracts/shards.js';
import { topicName } from '#contracts/topic.js';
import { FeaturesGroup } from './features-group.js';
import { toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

const topicResource = 2;
/** Of several commits and several tries. */
const whileMs = 3_000;

let pipeline: RunningPipeline;
let group: FeaturesGroup;
beforeEach(async () => {
  pipeline = new RunningPipeline();
  await pipeline.prepare();
  group = await new FeaturesGroup(pipeline).connect();
});
afterEach(async () => {
  await group.close();
  await pipeline.close();
});

/** With more copies than there are brokers a topic takes no records, and the client tries again and again. */
async function requireCopies(count: number): Promise<void> {
  const configEntries = [
    { name: 'cleanup.policy', value: 'compact' },
    { name: 'min.insync.replicas', value: String(count) },
  ];
  const name = topicName(shardsUnlabelled, pipeline.prefix);
  await group.admin.alterConfigs({ validateOnly: false, resources: [{ type: topicResource, name, configEntries }] });
}

async function shardKeys(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of pipeline.store.list('shards/')) keys.push(key);
  return keys;
}

it('commits nothing of a shard that is stored and cannot be announced; killed there, it makes the same shard again', async () => {
  const { overview, store } = pipeline;
  const announced = (): number => overview.snapshot().streams.unlabelled.shards;
  await requireCopies(9);
  await store.put(corpusKey('plain', 'a.wav'), toneWav());
  pipeline.start('ingest', 'features');
  await pipeline.until('a shard in the store', async () => (await shardKeys()).length === 1);
  await sleep(whileMs);
  expect({ announced: announced(), committed: await group.committed(), inFlight: overview.reconcile().inFlight }).toEqual({
    announced: 0,
    committed: 0,
    inFlight: ['plain/a.wav'],
  });
  const [key] = await shardKeys();

  await pipeline.kill('features');
  await requireCopies(1);
  expect(announced()).toBe(0);
  pipeline.start('features');
  await pipeline.until('it to be announced', () => overview.reconcile().inShards === 1);
  await pipeline.until('it to be committed', async () => (await group.committed()) === 1);
  expect(announced()).toBe(1);
  expect(await shardKeys(), 'named by its contents').toEqual([key]);
});
