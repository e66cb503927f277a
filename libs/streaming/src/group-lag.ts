/** Reads the lag of a consumer group: records not yet committed, by topic. */
import type { Kafka } from 'kafkajs';

/** @returns the lag in records, summed over partitions; a partition without a commit counts from its first record */
export async function groupLag(kafka: Kafka, groupId: string, topic: string): Promise<number> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const ends = await admin.fetchTopicOffsets(topic);
    const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] });
    const behind = ends.map(({ partition, high, low }) => {
      const offset = committed?.partitions.find((entry) => entry.partition === partition)?.offset ?? '-1';
      const from = offset === '-1' ? BigInt(low) : BigInt(offset);
      return Number(BigInt(high) - from);
    });
    return behind.reduce((sum, records) => sum + Math.max(0, records), 0);
  } finally {
    await admin.disconnect();
  }
}

/** @returns the committed offset of a consumer group by partition; a partition without a commit is left out */
export async function committedOffsets(kafka: Kafka, groupId: string, topic: string): Promise<Map<number, bigint>> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] });
    const entries = (committed?.partitions ?? []).map(({ partition, offset }): [number, bigint] => [partition, BigInt(offset)]);
    return new Map(entries.filter(([, offset]) => offset >= 0n));
  } finally {
    await admin.disconnect();
  }
}

/** @returns the consumer groups with this name prefix that have members */
export async function activeGroups(kafka: Kafka, prefix: string): Promise<string[]> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const { groups } = await admin.listGroups();
    const named = groups.map(({ groupId }) => groupId).filter((groupId) => groupId.startsWith(prefix));
    const described = named.length > 0 ? (await admin.describeGroups(named)).groups : [];
    return described.filter(({ members }) => members.length > 0).map(({ groupId }) => groupId);
  } finally {
    await admin.disconnect();
  }
}
