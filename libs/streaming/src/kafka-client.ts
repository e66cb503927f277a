/**
 * The Kafka client, set up so that an outage of minutes is waited for rather than given up on, that compressed records are
 * read, and that a batch which cannot be decoded is one bad record. Credentials that the broker refuses are one clear
 * line. Everything of the client is made here: the mends must be in place before it fetches for the first time.
 */
import { createRequire } from 'node:module';
import type { Kafka, KafkaConfig } from 'kafkajs';
import type { KafkaConnection } from '#service/connection-config.js';
import type { Logger } from '#service/logger.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { mendClientConnections } from './client-connection.js';
import { registerCodecs } from './record-codecs.js';
import { containUndecodableBatches } from './undecodable-batches.js';

// kafkajs is CommonJS whose named exports Node cannot see.
const kafkajs = createRequire(import.meta.url)('kafkajs') as typeof import('kafkajs');
const { logLevel } = kafkajs;
mendClientConnections();
registerCodecs();
containUndecodableBatches();

/**
 * With at most 1 s between tries, so that work goes on at once when the broker is back, for about 15 minutes: the time
 * after which a retryable error becomes permanent.
 */
export const patientRetry = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 900 };

export function kafkaClient(connection: KafkaConnection, clientId: string, logger: Logger): Kafka {
  const config: KafkaConfig = {
    clientId,
    brokers: connection.brokers,
    ssl: connection.ssl,
    sasl: connection.sasl as KafkaConfig['sasl'],
    retry: patientRetry,
    connectionTimeout: 5_000,
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => {
      // The client logs what it then retries or throws; here it is only a trace of what happened.
      const write = entry.level === logLevel.ERROR ? 'warn' : 'debug';
      logger[write]({ kafka: entry.log, namespace: entry.namespace }, entry.log.message);
    },
  };
  return withClearRefusals(new kafkajs.Kafka(config), connection);
}

/** Each of the client's parts connects by itself, and any of them may be the first to be refused. */
function withClearRefusals(kafka: Kafka, connection: KafkaConnection): Kafka {
  const explaining = <Part extends { connect(): Promise<void> }>(part: Part): Part => {
    const connect = part.connect.bind(part);
    part.connect = () =>
      connect().catch((error: unknown) => {
        throw explainRefusal(error, connection);
      });
    return part;
  };
  const { admin, producer, consumer } = kafka;
  kafka.admin = (config) => explaining(admin.call(kafka, config));
  kafka.producer = (config) => explaining(producer.call(kafka, config));
  kafka.consumer = (config) => explaining(consumer.call(kafka, config));
  return kafka;
}

const refusalNames = new Set(['KafkaJSSASLAuthenticationError']);
const refusalTypes = new Set(['SASL_AUTHENTICATION_FAILED', 'UNSUPPORTED_SASL_MECHANISM', 'ILLEGAL_SASL_STATE']);

/** @returns CONFIG_INVALID if the broker refuses the credentials, else the error as it is */
export function explainRefusal(error: unknown, { brokers, sasl }: Pick<KafkaConnection, 'brokers' | 'sasl'>): unknown {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { name, type, message } = cause as Error & { type?: string };
    if (!refusalNames.has(name) && !refusalTypes.has(type ?? '')) continue;
    const user = sasl ? `user ${sasl.username} by ${sasl.mechanism}` : 'a client without credentials';
    return new PipelineError(
      'CONFIG_INVALID',
      `The Kafka broker at ${brokers.join(', ')} refuses ${user}: ${message}. Set KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD as the broker knows them.`,
      { cause: error },
    );
  }
  return error;
}
