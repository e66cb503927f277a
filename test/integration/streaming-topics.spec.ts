/** Topics on a real broker: made once, whoever comes first, and never taken for what they are not. */
import { describe, expect, it } from 'vitest';
import { compacted, hourMs, minuteMs, retained, topicName } from '#contracts/topic.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { noteTopic, randomName, silent } from '../chaos/stream-under-test.js';

const client = () => kafkaClient(readKafkaConnection(), 'undertone-test', silent);

describe('ensureTopics', () => {
  it('called by four at once, and again, leaves the topics as declared', async () => {
    const prefix = randomName();
    const declared = [
      noteTopic(retained(3, 5 * minuteMs), 'kept'),
      noteTopic(compacted(2), 'table'),
      noteTopic(retained(1, hourMs), 'other'),
    ];
    await Promise.all([0, 1, 2, 3].map(() => ensureTopics(client(), declared, prefix)));
    await ensureTopics(client(), declared, prefix);
    const admin = client().admin();
    await admin.connect();
    const { topics } = await admin.fetchTopicMetadata({ topics: declared.map((topic) => topicName(topic, prefix)) });
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: 2, name: `${prefix}.kept.v1`, configNames: ['cleanup.policy', 'retention.ms', 'min.insync.replicas'] }],
    });
    await admin.disconnect();
    expect(Object.fromEntries(topics.map(({ name, partitions }) => [name, partitions.length]))).toEqual({
      [`${prefix}.kept.v1`]: 3,
      [`${prefix}.table.v1`]: 2,
      [`${prefix}.other.v1`]: 1,
    });
    expect(Object.fromEntries(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]) ?? [])).toEqual({
      'cleanup.policy': 'delete',
      'retention.ms': '300000',
      'min.insync.replicas': '1',
    });
  });

  it('makes what is missing beside what is there', async () => {
    const prefix = randomName();
    const there = noteTopic(retained(1, hourMs), 'there');
    await ensureTopics(client(), [there], prefix);
    const missing = noteTopic(compacted(2), 'missing');
    await ensureTopics(client(), [there, missing], prefix);
    await ensureTopics(client(), [missing], prefix);
  });

  it('refuses a topic with another count of partitions, and leaves it alone', async () => {
    const prefix = randomName();
    await ensureTopics(client(), [noteTopic(retained(2, hourMs))], prefix);
    await expect(ensureTopics(client(), [noteTopic(retained(3, hourMs))], prefix)).rejects.toMatchObject({
      code: 'TOPIC_MISMATCH',
      message: expect.stringContaining(`${prefix}.notes.v1 has 2 partitions, not 3`) as string,
    });
    await ensureTopics(client(), [noteTopic(retained(2, hourMs))], prefix);
  });

  it('refuses a topic with another clean-up policy', async () => {
    const prefix = randomName();
    await ensureTopics(client(), [noteTopic(retained(1, hourMs))], prefix);
    await expect(ensureTopics(client(), [noteTopic(compacted(1))], prefix)).rejects.toMatchObject({
      code: 'TOPIC_MISMATCH',
      message: expect.stringContaining('cleanup.policy=delete, not compact') as string,
    });
  });
});
