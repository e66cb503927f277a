/**
 * Whether what was made of records up to some positions may be gone on with from there.
 *
 * A tombstone is gone after `delete.retention.ms`: who was away longer cannot know what died meanwhile. And the topics must
 * be the same ones. The client speaks no topic ids, so time tells: in the same topic every record before the next one was
 * written before it was read, so that the first record of that time or later lies at the next offset or after it; in a topic
 * that was made anew it lies before. A writer whose clock is ahead makes this refuse more than it must, never less.
 */
import type { Kafka } from 'kafkajs';
import type { Positions } from './table-follower.js';

/** Broker and reader may disagree on time, and reading on takes some. */
const marginMs = 60 * 60_000;
/** ConfigResourceTypes.TOPIC */
const topicResource = 2;

export interface KeptPositions {
  clusterId: string;
  positions: Positions;
  /** When the positions were these. */
  takenAtMs: number;
  /** When everything that was there had last been read. */
  completeAtMs: number;
}

type Admin = ReturnType<Kafka['admin']>;

/** @returns why not, in words; null if it may */
export async function whyNotResume(kafka: Kafka, topics: readonly string[], kept: KeptPositions): Promise<string | null> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const { clusterId } = await admin.describeCluster();
    if (clusterId !== kept.clusterId) return `it is of Kafka cluster ${kept.clusterId}, this is ${clusterId}`;
    const keepsMs = await tombstonesKeptMs(admin, topics);
    const awayMs = Date.now() - kept.completeAtMs;
    if (awayMs > keepsMs - marginMs)
      return `it is ${Math.round(awayMs / 1000)} s old, and tombstones are kept for ${Math.round(keepsMs / 1000)} s, less an hour`;
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

/** The shortest time of the compacted topics, as the broker has it. */
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
      return `it goes on at ${next} in partition ${partition} of ${topic}, which holds ${low} to ${high}`;
  }
  // Where no record is as late, the client answers with the end.
  for (const { partition, offset } of await admin.fetchTopicOffsetsByTimestamp(topic, takenAtMs)) {
    const next = positions[topic]?.[partition] ?? '0';
    if (BigInt(offset) < BigInt(next))
      return `${topic} is not the topic that it was: record ${offset} of partition ${partition} was written after it, which goes on at ${next}`;
  }
  return null;
}
