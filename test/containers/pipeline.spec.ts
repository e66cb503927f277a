/** Runs the suite with Kafka and S3 in containers and the services as processes. The store sends its events through Kafka. */
import { randomBytes } from 'node:crypto';
import { Network } from 'testcontainers';
import { describe, inject } from 'vitest';
import { bucketEvents } from '#contracts/bucket-events.js';
import { topicName } from '#contracts/topic.js';
import { RunningPipeline } from '../integration/running-pipeline.js';
import { describePipeline, fromEventsAlone, type PipelineStack } from '../pipeline-suite.js';
import { startKafka, startS3 } from './servers.js';

async function startStack(): Promise<PipelineStack> {
  const prefix = `test-${randomBytes(5).toString('hex')}`;
  const credentials = { accessKeyId: 'undertonetest', secretAccessKey: 'undertonetestsecret' };
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey });
  const network = await new Network().start();
  const kafka = await startKafka(network);
  const s3 = await startS3(network, { ...credentials, eventTopic: topicName(bucketEvents, prefix) });
  const pipeline = new RunningPipeline({
    ...fromEventsAlone,
    TOPIC_PREFIX: prefix,
    KAFKA_BROKERS: kafka.brokers,
    S3_ENDPOINT: s3.endpoint,
  });
  await pipeline.prepare();
  return {
    pipeline,
    close: async () => {
      await pipeline.close();
      await Promise.all([kafka.container.stop(), s3.container.stop()]);
      await network.stop();
    },
  };
}

describe.skipIf(!inject('hasEngine'))('containers', () => describePipeline('the whole way on Kafka and S3 containers', startStack));
