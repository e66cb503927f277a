/** The Kafka client, set up so that an outage of minutes is waited for rather than given up on. */
import { createRequire } from 'node:module';
import type { Kafka, KafkaConfig } from 'kafkajs';
import type { KafkaConnection } from '#service/connection-config.js';
import type { Logger } from '#service/logger.js';
import { mendClientConnections } from './client-connection.js';

// kafkajs is CommonJS whose named exports Node cannot see.
const kafkajs = createRequire(import.meta.url)('kafkajs') as typeof import('kafkajs');
const { logLevel } = kafkajs;
mendClientConnections();

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
  return new kafkajs.Kafka(config);
}
