/**
 * The trainer's index on a real broker and store, with compacted topics. It must reach the same state if it ran all the time,
 * resumed from a snapshot, or was away for longer than tombstones are kept.
 */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deadLetters } from '#contracts/dead-letters.js';
import type { Labels } from '#contracts/labels.js';
import { indexSnapshotPrefix } from '#contracts/object-keys.js';
import { type ShardSealed, shardsLabelled, shardsUnlabelled, shardTopicOf } from '#contracts/shards.js';
import { topicName, type TopicIdentity } from '#contracts/topic.js';
import { utterances, type UtteranceIngested } from '#contracts/utterances.js';
import { readKafkaConnection, readStoreConnection } from '#service/connection-config.js';
import type { Logger } from '#service/logger.js';
import { ObjectStore, sha256Hex } from '#storage/object-store.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { TableFollower } from '#streaming/table-follower.js';
import { IndexSnapshots } from '#index/index-snapshot.js';
import { TrainingIndex } from '#index/training-index.js';
import { randomName, silent, until } from '../chaos/stream-under-test.js';

const topics = [utterances, shardsLabelled, shardsUnlabelled, deadLetters];
const kafka = kafkaClient(readKafkaConnection(), 'undertone-test', silent);
const hash = 'a'.repeat(16);

let prefix: string;
let publisher: Publisher;
let store: ObjectStore;
let said: string[];
const open: TrainerUnderTest[] = [];

beforeEach(async () => {
  prefix = randomName();
  publisher = new Publisher(kafka, prefix);
  store = new ObjectStore({ ...readStoreConnection(), bucket: prefix });
  said = [];
  await store.ensureBucket();
  await ensureTopics(kafka, topics, prefix);
  await publisher.connect();
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((trainer) => trainer.stop()));
  await publisher.close();
  store.close();
});

/** The part of the trainer that concerns its index. */
class TrainerUnderTest {
  index = new TrainingIndex();
  isFromSnapshot = false;
  readonly seen: string[] = [];
  private readonly snapshots: IndexSnapshots;
  readonly follower = new TableFollower(kafka, prefix, 'index', silent)
    .on(utterances, (id, fact) => (this.seen.push(id), this.index.applyUtterance(id, fact)))
    .on(shardsLabelled, (id, fact) => (this.seen.push(id), this.index.applyShard(id, fact)))
    .on(shardsUnlabelled, (id, fact) => (this.seen.push(id), this.index.applyShard(id, fact)))
    .on(deadLetters, (_key, fact) => fact && this.index.applyDeadLetter(fact));

  constructor() {
    const logger = { info: () => undefined, warn: ({ why }: { why: string }) => said.push(why) } as unknown as Logger;
    this.snapshots = new IndexSnapshots({ store, kafka, topicPrefix: prefix, topics, logger });
    open.push(this);
  }

  async start(): Promise<this> {
    const restored = await this.snapshots.restore();
    if (restored) this.index = restored.index;
    this.isFromSnapshot = restored !== null;
    await this.follower.start(restored?.positions);
    this.index.caughtUp();
    return this;
  }

  async write(): Promise<void> {
    await this.snapshots.write(this.index, this.follower);
  }

  /** Utterance, version, shard. */
  get tiles(): string[] {
    return this.index.view().utterances.map(({ utteranceId, version, shardId }) => `${utteranceId}@${version[0]} ${shardId.slice(0, 2)}`);
  }

  async stop(): Promise<void> {
    open.splice(open.indexOf(this), open.includes(this) ? 1 : 0);
    await this.follower.stop();
  }
}

const versionOf = (version: string): string => version.repeat(16);

function utterance(utteranceId: string, version = '1', labels: Labels = {}): UtteranceIngested {
  return {
    utteranceId,
    version: versionOf(version),
    corpus: 'c',
    objectKey: `corpora/${utteranceId}`,
    etag: 'e',
    sizeBytes: 1,
    labels,
    split: 'train',
    withheld: false,
    silence: 'none',
    ingestedAt: new Date().toISOString(),
  };
}

/** @param name two hex digits @param rows `id@version` */
function shard(name: string, rows: string[], stream: ShardSealed['stream'] = 'unlabelled'): ShardSealed {
  const shardId = name.padEnd(64, '0');
  return {
    shardId,
    stream,
    objectKey: `shards/${hash}/${shardId}.arrow`,
    sizeBytes: 1,
    settingsHash: hash,
    tile: [128, 256],
    tileCount: rows.length,
    utterances: rows.map((row, firstRow) => {
      const [utteranceId = '', version = ''] = row.split('@');
      return { utteranceId, version: versionOf(version), firstRow, tileCount: 1, audioSec: 1, cutSec: 0 };
    }),
    sealedAt: new Date().toISOString(),
  };
}

const seal = (...shards: ShardSealed[]): Promise<unknown> =>
  Promise.all(shards.map((fact) => publisher.publish(shardTopicOf(fact.stream), fact)));
const withdraw = ({ stream, shardId }: ShardSealed): Promise<void> => publisher.tombstone(shardTopicOf(stream), shardId);

async function withAdmin<Result>(work: (admin: ReturnType<typeof kafka.admin>) => Promise<Result>): Promise<Result> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Segments and tombstones last a second, so that the broker compacts during the test. */
async function compactAtOnce(...compacted: TopicIdentity[]): Promise<void> {
  const settings = {
    'cleanup.policy': 'compact',
    'segment.ms': '1000',
    'delete.retention.ms': '1000',
    'min.cleanable.dirty.ratio': '0.01',
  };
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
  const resources = compacted.map((topic) => ({ type: 2, name: topicName(topic, prefix), configEntries }));
  await withAdmin((admin) => admin.alterConfigs({ validateOnly: false, resources }));
}

/** Writes until a reader from the beginning finds neither this key nor its tombstone. */
async function untilForgotten(key: string): Promise<void> {
  let round = 0;
  await until(
    () => `the broker to forget ${key}`,
    async () => {
      // Only what is not in the newest segment is compacted, so every partition gets a record.
      const fillers = Array.from({ length: 40 }, (_, at) => utterance(`c/filler-${at}`, String(round % 10)));
      await publisher.publish(utterances, ...fillers);
      round++;
      const reader = new TrainerUnderTest();
      await reader.follower.start();
      await reader.stop();
      return !reader.seen.includes(key);
    },
    120,
  );
}

async function snapshotKeys(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(indexSnapshotPrefix(prefix))) keys.push(key);
  return keys;
}

describe('a trainer that comes back', () => {
  it('resumes from its snapshot and reads only newer records', async () => {
    const first = await new TrainerUnderTest().start();
    expect(first.isFromSnapshot).toBe(false);
    await publisher.publish(utterances, utterance('c/a'), utterance('c/b'), utterance('c/dead'));
    const old = shard('01', ['c/a@1', 'c/b@1', 'c/dead@1']);
    await seal(old);
    await first.follower.sync();
    await first.write();
    await first.stop();

    await publisher.tombstone(utterances, 'c/dead');
    await seal(shard('02', ['c/a@1', 'c/b@1']));
    await withdraw(old);
    const second = await new TrainerUnderTest().start();
    expect(second.isFromSnapshot).toBe(true);
    expect(second.seen.sort()).toEqual([old.shardId, '02'.padEnd(64, '0'), 'c/dead'].sort());
    expect(second.tiles).toEqual(['c/a@1 02', 'c/b@1 02']);
    const anew = new TrainerUnderTest();
    await anew.follower.start();
    anew.index.caughtUp();
    expect(anew.index.view()).toEqual(second.index.view());
  });

  it('keeps two snapshots, and falls back to the older one if the newer is damaged', async () => {
    const trainer = await new TrainerUnderTest().start();
    for (const id of ['c/a', 'c/b', 'c/c']) {
      await publisher.publish(utterances, utterance(id));
      await trainer.follower.sync();
      await trainer.write();
      await trainer.write(); // unchanged: not written
    }
    const keys = await snapshotKeys();
    expect(keys).toHaveLength(2);
    const newest = keys.sort().at(-1) as string;
    const { bytes } = await store.get(newest);
    await store.put(newest, bytes.subarray(0, bytes.length >> 1));
    const next = await new TrainerUnderTest().start();
    expect(said).toEqual(['its bytes do not have the sha256 in its name']);
    expect(next.isFromSnapshot).toBe(true);
    expect(next.seen).toEqual(['c/c']);
    expect([...next.index.held.utterances].map(({ utteranceId }) => utteranceId).sort()).toEqual(['c/a', 'c/b', 'c/c']);
  });

  it('starts from the topics if it was away longer than tombstones are kept, and drops deleted utterances', async () => {
    await publisher.publish(utterances, utterance('c/a'), utterance('c/dead'));
    await seal(shard('01', ['c/a@1', 'c/dead@1']));
    const first = await new TrainerUnderTest().start();
    expect(first.tiles).toEqual(['c/a@1 01', 'c/dead@1 01']);
    await first.write();
    await first.stop();
    await compactAtOnce(utterances);
    await publisher.tombstone(utterances, 'c/dead');
    await untilForgotten('c/dead');

    const second = await new TrainerUnderTest().start();
    expect(second.seen).not.toContain('c/dead');
    expect(said).toEqual([expect.stringMatching(/^it is \d+ s old, and tombstones are kept for 1 s, minus one hour for safety$/)]);
    expect(second.tiles).toEqual(['c/a@1 01']);
  });

  it('refuses a snapshot of topics that were deleted and created again', async () => {
    await publisher.publish(utterances, ...Array.from({ length: 40 }, (_, at) => utterance(`c/${at}`)));
    const first = await new TrainerUnderTest().start();
    await first.write();
    await first.stop();
    const names = topics.map((topic) => topicName(topic, prefix));
    await withAdmin((admin) => admin.deleteTopics({ topics: names }));
    await until(
      () => 'the topics to go',
      () => withAdmin(async (admin) => !(await admin.listTopics()).some((name) => names.includes(name))),
    );
    await ensureTopics(kafka, topics, prefix);
    // The new topics have at least as many records, so offsets alone would not reveal it.
    await publisher.publish(utterances, ...Array.from({ length: 120 }, (_, at) => utterance(`c/${at}`, '2')));
    const second = await new TrainerUnderTest().start();
    expect(second.isFromSnapshot).toBe(false);
    expect(said).toEqual([expect.stringMatching(/was created again/)]);
    expect(new Set(second.seen).size).toBe(120);
  });

  it('refuses a snapshot of another cluster or another format', async () => {
    const first = await new TrainerUnderTest().start();
    await first.write();
    const [key = ''] = await snapshotKeys();
    const text = zstdDecompressSync((await store.get(key)).bytes).toString();
    const forge = async (from: RegExp, to: string): Promise<void> => {
      const bytes = zstdCompressSync(text.replace(from, to));
      await store.put(key.replace(/-[0-9a-f]{64}/, `-${sha256Hex(bytes)}`), bytes);
      await store.delete(key);
    };
    await forge(/"clusterId":"[^"]+"/, '"clusterId":"another"');
    expect((await new TrainerUnderTest().start()).isFromSnapshot).toBe(false);
    expect(said.splice(0)).toEqual([expect.stringMatching(/^it was made on Kafka cluster another, and this is /)]);
    await forge(/undertone-index-1/, 'undertone-index-0');
    expect((await new TrainerUnderTest().start()).isFromSnapshot).toBe(false);
    expect(said).toContain('its first line has another format, at format');
  });
});

describe('the index', () => {
  it('handles a shard that is withdrawn before its replacement is read', async () => {
    await publisher.publish(utterances, utterance('c/a'), utterance('c/b'));
    const old = shard('0f', ['c/a@1', 'c/b@1']);
    await seal(old);
    const trainer = await new TrainerUnderTest().start();
    await withdraw(old);
    await trainer.follower.sync();
    expect(trainer.tiles).toEqual([]);
    await seal(shard('0a', ['c/a@1', 'c/b@1']));
    await trainer.follower.sync();
    expect(trainer.tiles).toEqual(['c/a@1 0a', 'c/b@1 0a']);
    expect(trainer.index.counts('emotion')).toEqual({ labelled: 0, unlabelled: 2 });
  });

  it('follows an utterance from one shard topic to the other', async () => {
    await publisher.publish(utterances, utterance('c/a'), utterance('c/b'));
    await seal(shard('01', ['c/a@1', 'c/b@1']));
    const trainer = await new TrainerUnderTest().start();
    expect(trainer.index.counts('emotion')).toEqual({ labelled: 0, unlabelled: 2 });
    await publisher.publish(utterances, utterance('c/a', '2', { category: 'sad' }));
    await trainer.follower.sync();
    expect(trainer.index.counts('emotion')).toEqual({ labelled: 0, unlabelled: 1 });
    await seal(shard('02', ['c/a@2'], 'labelled'));
    await trainer.follower.sync();
    expect(trainer.index.counts('emotion')).toEqual({ labelled: 1, unlabelled: 1 });
    expect(trainer.tiles).toEqual(['c/a@2 02', 'c/b@1 01']);
  });
});
