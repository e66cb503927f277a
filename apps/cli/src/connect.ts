/** Connects a command to the running stack. */
import pino from 'pino';
import { PipelineError } from '#contracts/pipeline-error.js';
import { topics } from '#contracts/topics.js';
import { readKafkaConnection, readStoreConnection } from '#service/connection-config.js';
import type { Logger } from '#service/logger.js';
import type { Environment } from '#service/read-config.js';
import { followInto } from '#overview/follow-pipeline.js';
import { PipelineOverview } from '#overview/pipeline-overview.js';
import { ObjectStore } from '#storage/object-store.js';
import { topicsExist } from '#streaming/ensure-topics.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { TableFollower } from '#streaming/table-follower.js';
import { adoptCredentials, environment } from './config.js';
import { stackEnvironment } from './stack-file.js';

/** Commands print their own lines, so only warnings and errors of the libraries are logged. */
export const quietLogger: Logger = pino({ level: 'silent' });

export interface Connections {
  environment: Environment;
  topicPrefix: string;
  store: ObjectStore;
  kafka: ReturnType<typeof kafkaClient>;
}

/** @throws PipelineError CONFIG_INVALID if no stack runs here and the environment names none */
export function connect(from: Environment = stackEnvironment(environment)): Connections {
  adoptCredentials(from);
  const kafkaConnection = readKafkaConnection(from);
  return {
    environment: from,
    topicPrefix: kafkaConnection.topicPrefix,
    store: new ObjectStore(readStoreConnection(from)),
    kafka: kafkaClient(kafkaConnection, 'undertone-cli', quietLogger),
  };
}

/** @throws PipelineError CONFIG_INVALID if no service has created the topics: the command would wait for ever */
export async function refuseMissingTopics({ kafka, topicPrefix }: Connections): Promise<void> {
  if (await topicsExist(kafka, topics, topicPrefix)) return;
  throw new PipelineError(
    'CONFIG_INVALID',
    `There are no topics ${topicPrefix}.* yet. The services create them when they start. Start the services, or set TOPIC_PREFIX to another prefix.`,
  );
}

/** Reads the state of the whole pipeline once. */
export async function readOverview(connections: Connections): Promise<PipelineOverview> {
  return (await readOverviewAndGaps(connections)).overview;
}

/** Like `readOverview`, and also returns a line about the records that could not be read. */
export async function readOverviewAndGaps(connections: Connections): Promise<{ overview: PipelineOverview; gaps: string | null }> {
  await refuseMissingTopics(connections);
  const { overview, follower } = followedOverview(connections);
  await follower.start();
  await follower.stop();
  return { overview, gaps: describeGaps(follower) };
}

/** @returns one line about the records that a follower had to skip; null if there are none */
export function describeGaps({ skipped, passedOver }: Pick<TableFollower, 'skipped' | 'passedOver'>): string | null {
  const newest = passedOver.at(-1);
  if (!newest) return null;
  const { topic, record, error } = newest;
  const records = skipped === 1 ? '1 record was' : `${skipped} records were`;
  return `${records} skipped, because this command cannot read or apply them. The newest: ${topic}, partition ${record.partition}, offset ${record.offset}: ${error.message}`;
}

/** An overview that follows the topics once its follower is started. */
export function followedOverview({ kafka, topicPrefix }: Pick<Connections, 'kafka' | 'topicPrefix'>): {
  overview: PipelineOverview;
  follower: TableFollower;
} {
  const overview = new PipelineOverview();
  return { overview, follower: followInto(overview, new TableFollower(kafka, topicPrefix, 'cli', quietLogger)) };
}

export async function withPublisher(connections: Connections, work: (publisher: Publisher<'cli'>) => Promise<void>): Promise<void> {
  const publisher = new Publisher<'cli'>(connections.kafka, connections.topicPrefix);
  await publisher.connect();
  try {
    await work(publisher);
  } finally {
    await publisher.close();
  }
}
