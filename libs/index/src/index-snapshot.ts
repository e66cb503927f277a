/**
 * Snapshots of the index in the object store. With one, a starting trainer need not read three topics from the beginning.
 *
 * A snapshot is one compressed object under `state/index/<topic prefix>/`. Its first line names the topics and the offsets
 * that were read; the index follows (index-contents.ts). The object's name holds the time and the sha256 of its bytes, so
 * that a damaged snapshot is not used.
 *
 * Delivery: a snapshot only saves time. The trainer refuses one that it cannot prove to belong to the current topics, logs
 * the reason, and builds the index from the first records.
 */
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { z } from 'zod';
import { indexSnapshotPrefix } from '#contracts/object-keys.js';
import { topicName, type TopicIdentity } from '#contracts/topic.js';
import type { Logger } from '#service/logger.js';
import { deleteOwn } from '#storage/delete-own.js';
import { type Objects, sha256Hex } from '#storage/object-store.js';
import { clusterIdOf, whyNotResume } from '#streaming/resume-check.js';
import type { Positions, TableFollower } from '#streaming/table-follower.js';
import { indexOf, linesOf } from './index-contents.js';
import type { TrainingIndex } from './training-index.js';

const headSchema = z.object({
  format: z.literal('undertone-index-1'),
  topicPrefix: z.string(),
  clusterId: z.string(),
  takenAtMs: z.number(),
  completeAtMs: z.number(),
  positions: z.record(z.string(), z.record(z.coerce.number().int(), z.string().regex(/^\d+$/))),
});
type Head = z.infer<typeof headSchema>;

const keptSnapshots = 2;
/** An unchanged index is written again after this time, before the snapshot is too old. */
const refreshMs = 24 * 60 * 60_000;

export interface IndexSnapshotsOptions {
  store: Pick<Objects, 'find' | 'put' | 'list' | 'delete'>;
  kafka: Parameters<typeof whyNotResume>[0];
  topicPrefix: string;
  /** All topics that the index is built from. */
  topics: readonly TopicIdentity[];
  logger: Logger;
}

export class IndexSnapshots {
  private readonly prefix: string;
  private clusterId: string | undefined;
  private written: { positions: string; atMs: number } | undefined;
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly options: IndexSnapshotsOptions) {
    this.prefix = indexSnapshotPrefix(options.topicPrefix);
  }

  /** @returns null if the index must be built from the first records */
  async restore(): Promise<{ index: TrainingIndex; positions: Positions } | null> {
    const { store, logger } = this.options;
    const startedAt = performance.now();
    for (const key of await this.keys()) {
      try {
        const found = await store.find(key);
        if (!found) continue;
        const { head, lines } = await this.open(key, found.bytes);
        const index = indexOf(lines);
        const seconds = Number(((performance.now() - startedAt) / 1000).toFixed(1));
        logger.info({ snapshot: key, sizeBytes: found.bytes.byteLength, seconds }, 'restored the index from a snapshot');
        return { index, positions: head.positions };
      } catch (error) {
        logger.warn({ snapshot: key, why: (error as Error).message }, 'refused a snapshot of the index');
      }
    }
    logger.info('no snapshot of the index can be used, so it is built from the first records');
    return null;
  }

  /** Writes the index as it is at the time of the call, unless that state was written before. One write at a time. */
  write(index: TrainingIndex, follower: TableFollower): Promise<void> {
    const takenAtMs = Date.now();
    // Positions of other followed topics are not kept: those topics are read from their beginning.
    const names = this.options.topics.map((topic) => topicName(topic, this.options.topicPrefix));
    const positions = Object.fromEntries(Object.entries(follower.positions()).filter(([topic]) => names.includes(topic)));
    const asText = JSON.stringify(positions);
    if (this.written?.positions === asText && takenAtMs - this.written.atMs < refreshMs) return this.writing;
    this.written = { positions: asText, atMs: takenAtMs };
    const lines = linesOf(index);
    const { completeAtMs } = follower;
    this.writing = this.writing.catch(() => undefined).then(() => this.put({ lines, positions, takenAtMs, completeAtMs }));
    this.writing.catch(() => (this.written = undefined));
    return this.writing;
  }

  private async put({ lines, ...read }: { lines: string[] } & Pick<Head, 'positions' | 'takenAtMs' | 'completeAtMs'>): Promise<void> {
    const { store, topicPrefix, kafka, logger } = this.options;
    this.clusterId ??= await clusterIdOf(kafka);
    const head: Head = { format: 'undertone-index-1', topicPrefix, clusterId: this.clusterId, ...read };
    const bytes = await promisify(zstdCompress)(Buffer.from([JSON.stringify(head), ...lines].join('\n')));
    const key = `${this.prefix}${new Date(read.takenAtMs).toISOString().replaceAll(/[:.]/g, '-')}-${sha256Hex(bytes)}.zst`;
    await store.put(key, bytes);
    logger.info({ snapshot: key, sizeBytes: bytes.byteLength }, 'wrote a snapshot of the index');
    for (const old of (await this.keys()).slice(keptSnapshots)) await deleteOwn(store, old, 'indexSnapshot');
  }

  /** Newest first: names begin with the time. */
  private async keys(): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of this.options.store.list(this.prefix)) keys.push(key);
    return keys.sort().reverse();
  }

  /** @throws with the reason why the snapshot must not be used */
  private async open(key: string, bytes: Uint8Array): Promise<{ head: Head; lines: Iterable<string> }> {
    const { kafka, topicPrefix, topics } = this.options;
    if (!key.endsWith(`-${sha256Hex(bytes)}.zst`)) throw new Error('its bytes do not have the sha256 in its name');
    const lines = linesIn(await promisify(zstdDecompress)(bytes));
    const head = headSchema.safeParse(JSON.parse(lines.next().value ?? 'null'));
    if (!head.success) throw new Error(`its first line has another format, at ${head.error.issues[0]?.path.join('.')}`);
    if (head.data.topicPrefix !== topicPrefix) throw new Error(`it belongs to the topics with the prefix ${head.data.topicPrefix}`);
    const names = topics.map((topic) => topicName(topic, topicPrefix));
    const why = await whyNotResume(kafka, names, head.data);
    if (why) throw new Error(why);
    return { head: head.data, lines };
  }
}

function* linesIn(bytes: Buffer): Generator<string, undefined> {
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(10, from);
    const to = end === -1 ? bytes.length : end;
    yield bytes.toString('utf8', from, to);
    from = to + 1;
  }
}
