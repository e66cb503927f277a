/** Creates the topics of the contracts, or checks that existing topics match the contracts. */
import { createRequire } from 'node:module';
import type { Kafka } from 'kafkajs';
import { PipelineError } from '#contracts/pipeline-error.js';
import { topicName, type TopicDeclaration, type TopicStorage } from '#contracts/topic.js';
import { retrying } from './retry.js';

const { ConfigResourceTypes } = createRequire(import.meta.url)('kafkajs') as typeof import('kafkajs');

/** @param leastInsync the broker's default min.insync.replicas; a safer default is kept */
function configOf(storage: TopicStorage, leastInsync: number): { name: string; value: string }[] {
  const entries: Record<string, number | string | undefined> = {
    'cleanup.policy': storage.cleanup,
    'retention.ms': storage.cleanup === 'delete' ? storage.retentionMs : undefined,
    'segment.ms': storage.segmentMs,
    'delete.retention.ms': storage.deleteRetentionMs,
    'min.insync.replicas': storage.minInsyncReplicas > leastInsync ? storage.minInsyncReplicas : undefined,
    // Records are stored as sent: a cluster that compresses everything would waste time on small records.
    'compression.type': 'producer',
  };
  return Object.entries(entries).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value: String(value) }]));
}

/** @throws PipelineError TOPIC_MISMATCH if an existing topic has another number of partitions or another clean-up policy */
export async function ensureTopics(kafka: Kafka, topics: readonly TopicDeclaration[], prefix: string): Promise<void> {
  await retrying(() => makeAndVerify(kafka, topics, prefix));
}

async function makeAndVerify(kafka: Kafka, topics: readonly TopicDeclaration[], prefix: string): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const wanted = new Map(topics.map((topic) => [topicName(topic, prefix), topic.storage]));
    const leastInsync = await brokersMinInsync(admin);
    await admin.createTopics({
      waitForLeaders: true,
      topics: [...wanted].map(([topic, storage]) => ({
        topic,
        numPartitions: storage.partitions,
        replicationFactor: -1,
        configEntries: configOf(storage, leastInsync),
      })),
    });
    await verifyPartitions(admin, wanted);
    await verifyCleanup(admin, wanted);
  } finally {
    await admin.disconnect();
  }
}

/** @returns true if all topics exist. It asks once and creates nothing. */
export async function topicsExist(kafka: Kafka, topics: readonly TopicDeclaration[], prefix: string): Promise<boolean> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const there = new Set(await admin.listTopics());
    return topics.every((topic) => there.has(topicName(topic, prefix)));
  } finally {
    await admin.disconnect();
  }
}

type KafkaAdmin = ReturnType<Kafka['admin']>;

/** @returns the smallest value of all brokers; infinite if this client may not ask, so that the broker's own default holds */
async function brokersMinInsync(admin: KafkaAdmin): Promise<number> {
  const { brokers } = await admin.describeCluster();
  const resources = brokers.map(({ nodeId }) => ({
    type: ConfigResourceTypes.BROKER,
    name: String(nodeId),
    configNames: ['min.insync.replicas'],
  }));
  try {
    const { resources: found } = await admin.describeConfigs({ resources, includeSynonyms: false });
    const values = found.flatMap(({ configEntries }) => configEntries.map(({ configValue }) => Number(configValue)));
    return values.length > 0 ? Math.min(...values) : Number.POSITIVE_INFINITY;
  } catch (error) {
    if (!/AUTHORIZATION_FAILED/.test((error as { type?: string }).type ?? '')) throw error;
    return Number.POSITIVE_INFINITY;
  }
}

async function verifyPartitions(admin: KafkaAdmin, wanted: Map<string, TopicStorage>): Promise<void> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [...wanted.keys()] });
  for (const { name, partitions } of topics) {
    const expected = wanted.get(name)?.partitions;
    if (expected !== partitions.length) {
      throw new PipelineError(
        'TOPIC_MISMATCH',
        `Topic ${name} has ${partitions.length} partitions, and ${expected} are expected. Keys would change partition. Delete the topic so that it is created again, or set TOPIC_PREFIX.`,
      );
    }
  }
}

async function verifyCleanup(admin: KafkaAdmin, wanted: Map<string, TopicStorage>): Promise<void> {
  const resources = [...wanted.keys()].map((name) => ({ type: ConfigResourceTypes.TOPIC, name, configNames: ['cleanup.policy'] }));
  const { resources: found } = await admin.describeConfigs({ resources, includeSynonyms: false });
  for (const { resourceName, configEntries } of found) {
    const policy = configEntries.find((entry) => entry.configName === 'cleanup.policy')?.configValue;
    const expected = wanted.get(resourceName)?.cleanup;
    if (policy !== expected) {
      throw new PipelineError(
        'TOPIC_MISMATCH',
        `Topic ${resourceName} has cleanup.policy=${policy}, and ${expected} is expected. Records would be lost or kept for ever. Alter the topic, or set TOPIC_PREFIX.`,
      );
    }
  }
}
