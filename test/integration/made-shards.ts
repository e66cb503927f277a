/** Makes shards, utterances and predictions on a real broker and store, and jobs that compact them. */
import { createHash } from 'node:crypto';
import { featureSettings } from '#audio/feature-settings.js';
import { readShard, writeShard, type ShardRow } from '#audio/shard/shard-file.js';
import type { Stream } from '#contracts/labels.js';
import { bucketMarkerKey, shardKey } from '#contracts/object-keys.js';
import { shardsLabelled, shardsUnlabelled, shardTopicOf, type ShardSealed } from '#contracts/shards.js';
import { topics } from '#contracts/topics.js';
import { utterances, type UtteranceIngested } from '#contracts/utterances.js';
import { readKafkaConnection, readStoreConnection } from '#service/connection-config.js';
import { ObjectStore, sha256Hex, type Objects } from '#storage/object-store.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { TableFollower } from '#streaming/table-follower.js';
import { CompactionJob, type CompactionParts } from '#compaction/compaction-job.js';
import { randomName, silent } from '../chaos/stream-under-test.js';

export type Rows = [utteranceId: string, version: string, tileCount: number][];

/** Small tiles. Their content does not matter, only that it stays the same. */
export const settings = featureSettings({ rows: 16, width: 32 });
const pixelsOf = (name: string): Uint8Array =>
  Uint8Array.from({ length: 16 * 32 }, (_, i) => ((name.length * 31 + (name.codePointAt(i % name.length) ?? 0)) * (i + 1)) % 256);
/** Versions are 16 characters. */
export const version = (name: string): string => name.padEnd(16, '-');

export function rowsOf(rows: Rows): ShardRow[] {
  return rows.flatMap(([utteranceId, name, tileCount]) =>
    Array.from({ length: tileCount }, (_, tileIndex) => ({
      tile: pixelsOf(`${utteranceId}@${name}#${tileIndex}`),
      utteranceId,
      version: version(name),
      tileIndex,
      corpus: utteranceId.split('/')[0] ?? '',
      speaker: `speaker of ${utteranceId}`,
      gender: null,
      category: 'happy',
      activation: 2.5,
      valence: null,
    })),
  );
}

export class MadeShards {
  readonly prefix = randomName();
  readonly kafka = kafkaClient(readKafkaConnection(), 'undertone-test', silent);
  readonly store = new ObjectStore({ ...readStoreConnection(), bucket: this.prefix });
  readonly publisher = new Publisher(this.kafka, this.prefix);
  private readonly jobs: CompactionJob[] = [];

  async prepare(): Promise<this> {
    await ensureTopics(this.kafka, topics, this.prefix);
    await this.store.ensureBucket();
    await this.store.put(bucketMarkerKey(this.prefix), '{}');
    await this.publisher.connect();
    return this;
  }

  async close(): Promise<void> {
    for (const job of this.jobs) await job.stop();
    await this.publisher.close();
    this.store.close();
  }

  async ingest(...records: [utteranceId: string, version: string, split?: UtteranceIngested['split']][]): Promise<void> {
    const facts = records.map(
      ([utteranceId, name, split = 'train']): UtteranceIngested => ({
        utteranceId,
        version: version(name),
        corpus: utteranceId.split('/')[0] ?? '',
        objectKey: `corpora/${utteranceId}`,
        etag: name,
        sizeBytes: 1,
        labels: {},
        split,
        withheld: false,
        silence: 'none',
        ingestedAt: new Date().toISOString(),
      }),
    );
    await this.publisher.publish(utterances, ...facts);
  }

  async erase(...ids: string[]): Promise<void> {
    for (const id of ids) await this.publisher.tombstone(utterances, id);
  }

  /** Puts a shard and announces it, unless told otherwise. */
  async seal(
    rows: Rows,
    {
      stream = 'labelled',
      settingsHash = 'a'.repeat(16),
      announced = true,
    }: { stream?: Stream; settingsHash?: string; announced?: boolean } = {},
  ): Promise<ShardSealed> {
    const bytes = writeShard(rowsOf(rows), settings);
    const shardId = sha256Hex(bytes);
    let firstRow = 0;
    const listed = rows.map(([utteranceId, name, tileCount]) => {
      firstRow += tileCount;
      return { utteranceId, version: version(name), firstRow: firstRow - tileCount, tileCount, audioSec: 2, cutSec: 0.5 };
    });
    const shard: ShardSealed = {
      ...{ shardId, stream, settingsHash, objectKey: shardKey(settingsHash, shardId), sizeBytes: bytes.byteLength },
      ...{ tileCount: firstRow, utterances: listed, sealedAt: new Date().toISOString() },
    };
    await this.store.put(shard.objectKey, bytes);
    if (announced) await this.publisher.publish(shardTopicOf(stream), shard);
    return shard;
  }

  /** Starts a job with its own reader. */
  async job({
    graceMs = 0,
    settingsGraceMs = 0,
    shardTiles = 10,
    ...parts
  }: Partial<CompactionParts> & { graceMs?: number; settingsGraceMs?: number; shardTiles?: number } = {}): Promise<CompactionJob> {
    const job = new CompactionJob({
      store: this.store,
      publisher: this.publisher,
      follower: new TableFollower(this.kafka, this.prefix, 'compaction', silent),
      topicPrefix: this.prefix,
      holder: 'test',
      settings: { shardTiles, deadShare: 0.2, graceMs, settingsGraceMs },
      ...parts,
    });
    await job.start();
    this.jobs.push(job);
    return job;
  }

  /** The state that a new reader gets from the topics. */
  async announced(): Promise<Map<string, ShardSealed>> {
    const shards = new Map<string, ShardSealed>();
    const apply = (id: string, fact: ShardSealed | null): void => void (fact ? shards.set(id, fact) : shards.delete(id));
    const follower = new TableFollower(this.kafka, this.prefix, 'test', silent).on(shardsLabelled, apply).on(shardsUnlabelled, apply);
    await follower.start();
    await follower.stop();
    return shards;
  }

  async keys(prefix: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of this.store.list(prefix)) keys.push(key);
    return keys.sort();
  }

  /** Every utterance of every announced shard, with a digest of all its rows as they lie in the store. */
  async contents(): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for (const shard of (await this.announced()).values()) {
      const { bytes } = await this.store.get(shard.objectKey);
      if (sha256Hex(bytes) !== shard.shardId) throw new Error(`${shard.objectKey} does not have the SHA-256 in its name`);
      for (const { utteranceId, version: name, firstRow, tileCount, audioSec, cutSec } of shard.utterances) {
        const where = `${utteranceId}@${name}`;
        if (where in found) throw new Error(`${where} is in two shards`);
        found[where] = `${digestOf(bytes, firstRow, tileCount)} ${audioSec} ${cutSec}`;
      }
    }
    return found;
  }
}

/** A digest of pixels and labels. */
export function digestOf(bytes: Uint8Array, firstRow: number, tileCount: number): string {
  const file = readShard(bytes);
  const hash = createHash('sha256');
  for (let row = firstRow; row < firstRow + tileCount; row++) {
    const { utteranceIdAt, versionAt, tileIndexAt, corpusAt, speakerAt, genderAt, categoryAt, activationAt, valenceAt } = file;
    const labels = [utteranceIdAt, versionAt, tileIndexAt, corpusAt, speakerAt, genderAt, categoryAt, activationAt, valenceAt];
    hash.update(JSON.stringify(labels.map((at) => at(row)))).update(file.tileAt(row));
  }
  return hash.digest('hex').slice(0, 12);
}

/** A process that dies at its k-th write, before or after the write takes effect. All later calls fail. */
export class Mortal {
  private calls = 0;
  private dieAt = Infinity;
  private done = false;

  /** Starts the process again. */
  willDieAt(call: number, done: boolean): void {
    this.calls = 0;
    this.dieAt = call;
    this.done = done;
  }

  get survived(): boolean {
    return this.calls < this.dieAt;
  }

  store(real: ObjectStore): Objects {
    return Object.create(real, {
      put: { value: (...words: Parameters<ObjectStore['put']>) => this.call(() => real.put(...words)) },
      delete: { value: (key: string) => this.call(() => real.delete(key)) },
    }) as Objects;
  }

  publisher(real: Publisher): Publisher {
    return Object.create(real, {
      publish: { value: (...words: Parameters<Publisher['publish']>) => this.call(() => real.publish(...words)) },
      publishAbout: { value: (...words: Parameters<Publisher['publishAbout']>) => this.call(() => real.publishAbout(...words)) },
      tombstone: { value: (...words: Parameters<Publisher['tombstone']>) => this.call(() => real.tombstone(...words)) },
    }) as Publisher;
  }

  private async call<Result>(work: () => Promise<Result>): Promise<Result> {
    this.calls++;
    if (this.calls === this.dieAt && this.done) await work();
    if (this.calls >= this.dieAt) throw new Error('killed');
    return work();
  }
}
