/** Reads the connections of a service to the broker and the object store. The embedded servers use the same variables. */
import { z } from 'zod';
import { readHttpAccess } from './http-access.js';
import { field, readConfig, type Environment } from './read-config.js';

export interface KafkaConnection {
  brokers: string[];
  ssl: boolean;
  sasl: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string } | undefined;
  /** Topics are `<prefix>.<noun>.v<n>`, consumer groups `<prefix>.<stage>…`. */
  topicPrefix: string;
}

export interface StoreConnection {
  /** If unset, the AWS default for the region. */
  endpoint: string | undefined;
  region: string;
  bucket: string;
  forcePathStyle: boolean;
}

export function readKafkaConnection(environment?: Environment): KafkaConnection {
  const read = readConfig(
    {
      KAFKA_BROKERS: z.string({ error: 'set it to host:port[,host:port…], or run `npm start`, which starts a broker' }).min(1),
      KAFKA_SSL: field.flag(false),
      KAFKA_SASL_MECHANISM: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).default('plain'),
      KAFKA_SASL_USERNAME: field.optionalText(),
      KAFKA_SASL_PASSWORD: field.optionalText(),
      TOPIC_PREFIX: z
        .string()
        .regex(/^[a-zA-Z0-9_-]+$/, 'letters, digits, _ and - only')
        .default('undertone'),
    },
    environment,
  );
  return {
    brokers: read.KAFKA_BROKERS.split(',').map((broker) => broker.trim()),
    ssl: read.KAFKA_SSL,
    sasl: read.KAFKA_SASL_USERNAME
      ? { mechanism: read.KAFKA_SASL_MECHANISM, username: read.KAFKA_SASL_USERNAME, password: read.KAFKA_SASL_PASSWORD ?? '' }
      : undefined,
    topicPrefix: read.TOPIC_PREFIX,
  };
}

/** Reads the store connection. The AWS SDK itself reads the credentials, from its usual variables and files. */
export function readStoreConnection(environment?: Environment): StoreConnection {
  const read = readConfig(
    {
      S3_ENDPOINT: field.optionalText(),
      S3_BUCKET: field.text('undertone'),
      S3_FORCE_PATH_STYLE: field.flag(true),
      AWS_REGION: field.text('us-east-1'),
    },
    environment,
  );
  return { endpoint: read.S3_ENDPOINT, region: read.AWS_REGION, bucket: read.S3_BUCKET, forcePathStyle: read.S3_FORCE_PATH_STYLE };
}

/**
 * Reads the settings of every service: its HTTP address, HTTP access and log level.
 * @throws PipelineError CONFIG_INVALID, also if the address is beyond loopback and API_TOKEN is not set
 */
export function readServiceSettings(defaultPort: number, portVariable: string, environment?: Environment) {
  const read = readConfig(
    {
      [portVariable]: field.port(defaultPort),
      HTTP_HOST: field.text('127.0.0.1'),
      LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
    },
    environment,
  );
  const host = read.HTTP_HOST as string;
  return {
    host,
    access: readHttpAccess(host, environment),
    port: read[portVariable] as number,
    portVariable,
    logLevel: read.LOG_LEVEL as string,
  };
}
export type ServiceSettings = ReturnType<typeof readServiceSettings>;
