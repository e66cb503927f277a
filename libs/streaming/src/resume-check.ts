/**
 * Decides whether state that was made of records up to some positions may be continued from there.
 *
 * Two things prevent it. First, Kafka deletes tombstones after `delete.retention.ms`, so a reader that was away longer misses
 * deletions. Second, the topics may have been created again. The client does not know topic ids, so the check uses time: in the
 * same topic, every record before the kept offset was written before it was read. So the first record of that time or later lies at
 * the kept offset or after it; in a new topic it lies before. If a writer's clock is ahead, the check refuses too often, never too
 * seldom.
 */
import type { Kafka } from 'kafkajs';
import type { Positions } from './table-follower.js';

/** Allowance for different clocks of broker and reader, and for the time of reading. */
const marginMs = 60 * 60_000;
/** ConfigResourceTypes.TOPIC */
const topicResource = 2;

export interface KeptPositions {
  clusterId: string;
  positions: Positions;
  /** The time of these positions. */
  takenAtMs: number;
  /** The last time at which everything had been read. */
  completeAtMs: number;
}

type Admin = ReturnType<Kafka['admin']>;

/** @returns the reason not to continue; null if continuing is safe */
export async function whyNotResume(kafka: Kafka, topics: readonly string[], kept: KeptPositions): Promise<string | null> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const { clusterId } = await admin.describeCluster();
    if (clusterId !== kept.clusterId) return `it was made on Kafka cluster ${kept.clusterId}, and this is ${clusterId}`;
    const keepsMs = await tombstonesKeptMs(admin, topics);
    const awayMs = Date.now() - kept.completeAtMs;
    if (awayMs > keepsMs - marginMs)
      return `it is ${Math.round(awayMs / 1000)} s old, and tombstones are kept for ${Math.round(keepsMs / 1000)} s, minus one hour for safety`;
    for (const topic of topics) {
      const why = await whyNotTopic(admin, topic, kept);
      if (why) return why;
    }
    return null;
  } finally {
    await admin.disconnect();
  }
}

export async function clusterIdOf(kafka: Kafka): Promise<string> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return (await admin.describeCluster()).clusterId;
  } finally {
    await admin.disconnect();
  }
}

/** The shortest tombstone retention of the compacted topics, as the broker states it. */
async function tombstonesKeptMs(admin: Admin, topics: readonly string[]): Promise<number> {
  const configNames = ['cleanup.policy', 'delete.retention.ms'];
  const resources = topics.map((name) => ({ type: topicResource, name, configNames }));
  const { resources: found } = await admin.describeConfigs({ resources, includeSynonyms: false });
  const valueOf = ({ configEntries }: (typeof found)[number], name: string): string =>
    configEntries.find(({ configName }) => configName === name)?.configValue ?? '';
  const compacted = found.filter((topic) => valueOf(topic, 'cleanup.policy').includes('compact'));
  return Math.min(...compacted.map((topic) => Number(valueOf(topic, 'delete.retention.ms'))));
}

async function whyNotTopic(admin: Admin, topic: string, { positions, takenAtMs }: KeptPositions): Promise<string | null> {
  const bounds = await admin.fetchTopicOffsets(topic);
  for (const { partition, low, high } of bounds) {
    const next = positions[topic]?.[partition];
    if (next === undefined) return `it does not know partition ${partition} of ${topic}`;
    if (BigInt(next) < BigInt(low) || BigInt(next) > BigInt(high))
      return `it continues at ${next} in partition ${partition} of ${topic}, which holds ${low} to ${high}`;
  }
  // If no record is as late, the client answers with the end.
  for (const { partition, offset } of await admin.fetchTopicOffsetsByTimestamp(topic, takenAtMs)) {
    const next = positions[topic]?.[partition] ?? '0';
    if (BigInt(offset) < BigInt(next))
      return `${topic} was created again: record ${offset} of partition ${partition} was written after the snapshot, which continues at ${next}`;
  }
  return null;
}
