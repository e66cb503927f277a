/**
 * Creates the Kafka client. It waits through outages of minutes, reads compressed records, and turns an undecodable batch into one
 * bad record. Refused credentials print one clear line. All parts of the client are created here, because the patches must be in
 * place before its first fetch.
 */
import { createRequire } from 'node:module';
import type { Kafka, KafkaConfig } from 'kafkajs';
import type { KafkaConnection } from '#service/connection-config.js';
import type { Logger } from '#service/logger.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { mendClientConnections } from './client-connection.js';
import { registerCodecs } from './record-codecs.js';
import { containUndecodableBatches } from './undecodable-batches.js';

// kafkajs is CommonJS, and Node cannot see its named exports.
const kafkajs = createRequire(import.meta.url)('kafkajs') as typeof import('kafkajs');
const { logLevel } = kafkajs;
mendClientConnections();
registerCodecs();
containUndecodableBatches();

/**
 * Retries with at most 1 s between tries, so that work continues as soon as the broker is back. It lasts about 15 minutes, the time
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
      // The client retries or throws each error that it logs, so the level here is lower.
      const write = entry.level === logLevel.ERROR ? 'warn' : 'debug';
      logger[write]({ kafka: entry.log, namespace: entry.namespace }, entry.log.message);
    },
  };
  return withClearRefusals(new kafkajs.Kafka(config), connection);
}

/** Explains refusals in all parts of the client, because each connects by itself and any may be refused first. */
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

/** @returns CONFIG_INVALID if the broker refuses the credentials, else the unchanged error */
export function explainRefusal(error: unknown, connection?: Pick<KafkaConnection, 'brokers' | 'sasl'>): unknown {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { name, type, message } = cause as Error & { type?: string };
    if (!refusalNames.has(name) && !refusalTypes.has(type ?? '')) continue;
    const { brokers = [], sasl } = connection ?? {};
    const broker = brokers.length > 0 ? `The Kafka broker at ${brokers.join(', ')}` : 'The Kafka broker';
    const user = sasl ? `user ${sasl.username} by ${sasl.mechanism}` : 'the credentials';
    return new PipelineError(
      'CONFIG_INVALID',
      `${broker} refuses ${user}: ${message}. Set KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD to the values that the broker knows.`,
      { cause: error },
    );
  }
  return error;
}
