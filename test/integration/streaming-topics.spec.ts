/** Topics on a real broker: any service may create them once, and topics with other settings are refused. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compacted, hourMs, minuteMs, retained, topicName } from '#contracts/topic.js';
import { freePorts } from '#embedded/free-ports.js';
import { EmbeddedKafka, type KafkaInstall } from '#embedded/kafka-broker.js';
import { provisionAll } from '#embedded/provision.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { noteTopic, randomName, silent } from '../chaos/stream-under-test.js';

const client = () => kafkaClient(readKafkaConnection(), 'undertone-test', silent);

describe('ensureTopics', () => {
  it('creates the topics as declared when called by four clients at once, and again', async () => {
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
      resources: [{ type: 2, name: `${prefix}.kept.v1`, configNames: ['cleanup.policy', 'retention.ms', 'compression.type'] }],
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
      'compression.type': 'producer',
    });
  });

  it('creates missing topics beside existing ones', async () => {
    const prefix = randomName();
    const there = noteTopic(retained(1, hourMs), 'there');
    await ensureTopics(client(), [there], prefix);
    const missing = noteTopic(compacted(2), 'missing');
    await ensureTopics(client(), [there, missing], prefix);
    await ensureTopics(client(), [missing], prefix);
  });

  it('refuses a topic with another number of partitions, and does not change it', async () => {
    const prefix = randomName();
    await ensureTopics(client(), [noteTopic(retained(2, hourMs))], prefix);
    await expect(ensureTopics(client(), [noteTopic(retained(3, hourMs))], prefix)).rejects.toMatchObject({
      code: 'TOPIC_MISMATCH',
      message: expect.stringContaining(`${prefix}.notes.v1 has 2 partitions, and 3 are expected`) as string,
    });
    await ensureTopics(client(), [noteTopic(retained(2, hourMs))], prefix);
  });

  it('refuses a topic with another clean-up policy', async () => {
    const prefix = randomName();
    await ensureTopics(client(), [noteTopic(retained(1, hourMs))], prefix);
    await expect(ensureTopics(client(), [noteTopic(compacted(1))], prefix)).rejects.toMatchObject({
      code: 'TOPIC_MISMATCH',
      message: expect.stringContaining('cleanup.policy=delete, and compact is expected') as string,
    });
  });
});

describe('an external broker', () => {
  let broker: EmbeddedKafka;
  let folder: string;
  let guarded: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'undertone-broker-'));
    const { kafka: install } = await provisionAll({ needKafka: true, needS3: false, needTensorflow: false, log: () => undefined });
    const [port = 0, controllerPort = 0, saslPort = 0] = await freePorts(3);
    guarded = `127.0.0.1:${saslPort}`;
    broker = new EmbeddedKafka({
      install: install as KafkaInstall,
      dataDir: folder,
      port,
      controllerPort,
      properties: {
        listeners: `PLAINTEXT://127.0.0.1:${port},SASL_PLAINTEXT://${guarded},CONTROLLER://127.0.0.1:${controllerPort}`,
        'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},SASL_PLAINTEXT://${guarded}`,
        'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT',
        'sasl.enabled.mechanisms': 'PLAIN',
        'listener.name.sasl_plaintext.plain.sasl.jaas.config':
          'org.apache.kafka.common.security.plain.PlainLoginModule required user_anna="right";',
        'min.insync.replicas': 2,
      },
    });
    await broker.start();
  });
  afterAll(async () => {
    await broker.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('keeps its safer min.insync.replicas for our topics', async () => {
    const prefix = randomName();
    const kafka = kafkaClient(readKafkaConnection({ KAFKA_BROKERS: broker.brokers }), 'undertone-test', silent);
    await ensureTopics(kafka, [noteTopic(retained(1, hourMs))], prefix);
    const admin = kafka.admin();
    await admin.connect();
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: 2, name: `${prefix}.notes.v1`, configNames: ['min.insync.replicas'] }],
    });
    await admin.disconnect();
    expect(resources[0]?.configEntries[0]?.configValue).toBe('2');
  });

  const guardedBy = (sasl: Record<string, string>) =>
    kafkaClient(readKafkaConnection({ KAFKA_BROKERS: guarded, ...sasl }), 'undertone-test', silent);

  it.each([
    ['a wrong password', { KAFKA_SASL_USERNAME: 'anna', KAFKA_SASL_PASSWORD: 'wrong' }, 'refuses user anna by plain'],
    [
      'a mechanism that it does not know',
      { KAFKA_SASL_USERNAME: 'anna', KAFKA_SASL_PASSWORD: 'right', KAFKA_SASL_MECHANISM: 'scram-sha-512' },
      'refuses user anna by scram-sha-512',
    ],
  ])('refuses %s at once, in one line that names the variables', async (_what, sasl, message) => {
    const attempt = ensureTopics(guardedBy(sasl), [noteTopic(retained(1, hourMs))], randomName());
    const error = await attempt.then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining(message) as string });
    expect((error as Error).message).toContain('KAFKA_SASL_PASSWORD');
    expect((error as Error).message).not.toMatch(/\n|wrong|right/);
    const producer = guardedBy(sasl).producer();
    await expect(producer.connect()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('takes the right password', async () => {
    const kafka = guardedBy({ KAFKA_SASL_USERNAME: 'anna', KAFKA_SASL_PASSWORD: 'right' });
    await ensureTopics(kafka, [noteTopic(retained(1, hourMs))], randomName());
  });
});
