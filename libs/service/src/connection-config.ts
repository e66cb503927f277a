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

export const kafkaVariables = {
  KAFKA_BROKERS: z
    .string({ error: 'set it to host:port[,host:port…], or run `npm start`, which brings a broker' })
    .min(1)
    .meta({ shownDefault: 'embedded' })
    .describe('Addresses of your Kafka: `host:port[,host:port…]`. `undertone` starts its own broker without it. A service requires it.'),
  KAFKA_SSL: field.flag(false).describe('`true` speaks TLS to the broker. `NODE_EXTRA_CA_CERTS` adds certificate authorities.'),
  KAFKA_SASL_MECHANISM: z
    .enum(['plain', 'scram-sha-256', 'scram-sha-512'])
    .default('plain')
    .describe('How the service proves who it is: `plain`, `scram-sha-256` or `scram-sha-512`, in lower case.'),
  KAFKA_SASL_USERNAME: field.optionalText().describe('User name at the broker. SASL is on when this is set.'),
  KAFKA_SASL_PASSWORD: field.optionalText().describe('Password at the broker.'),
  TOPIC_PREFIX: z
    .string()
    .regex(/^[a-zA-Z0-9_-]+$/, 'letters, digits, _ and - only')
    .default('undertone')
    .describe('Topics are called `<prefix>.<name>.v1`, and consumer groups begin with it. Letters, digits, `_` and `-` only.'),
};

export function readKafkaConnection(environment?: Environment): KafkaConnection {
  const read = readConfig(kafkaVariables, environment);
  return {
    brokers: read.KAFKA_BROKERS.split(',').map((broker) => broker.trim()),
    ssl: read.KAFKA_SSL,
    sasl: read.KAFKA_SASL_USERNAME
      ? { mechanism: read.KAFKA_SASL_MECHANISM, username: read.KAFKA_SASL_USERNAME, password: read.KAFKA_SASL_PASSWORD ?? '' }
      : undefined,
    topicPrefix: read.TOPIC_PREFIX,
  };
}

export const storeVariables = {
  S3_ENDPOINT: field
    .optionalText()
    .meta({ shownDefault: 'embedded' })
    .describe(
      'URL of your S3 server. `undertone` starts its own server without it. A service that you start by itself speaks to AWS without it.',
    ),
  S3_BUCKET: field.text('undertone').describe('Name of the bucket. The services make it if it does not exist.'),
  S3_FORCE_PATH_STYLE: field
    .flag(true)
    .describe('`true` writes the bucket into the path of a URL. `false` writes it into the host name, as AWS wants.'),
  AWS_REGION: field.text('us-east-1').describe('Region of the bucket.'),
};

/** Variables that the AWS SDK reads by itself, besides its files. They stand here for docs/configuration.md. */
export const awsSdkVariables = {
  AWS_ACCESS_KEY_ID: field.optionalText().describe('Key of the S3 server. The AWS SDK reads it, and its files and other variables too.'),
  AWS_SECRET_ACCESS_KEY: field.optionalText().describe('Secret that belongs to the key.'),
  AWS_SESSION_TOKEN: field.optionalText().describe('Token of temporary credentials.'),
};

/** The AWS SDK reads the credentials itself. */
export function readStoreConnection(environment?: Environment): StoreConnection {
  const read = readConfig(storeVariables, environment);
  return { endpoint: read.S3_ENDPOINT, region: read.AWS_REGION, bucket: read.S3_BUCKET, forcePathStyle: read.S3_FORCE_PATH_STYLE };
}

/** Ports of the services, unless a variable names another. */
export const servicePorts = { evaluator: 7400, ingest: 7401, features: 7402, trainer: 7403, predictor: 7404 } as const;

/** `<SERVICE>_PORT` of each service. They stand here for docs/configuration.md. */
export const portVariables = Object.fromEntries(
  Object.entries(servicePorts).map(([service, port]) => [
    `${service.toUpperCase()}_PORT`,
    field.port(port).describe(`Port on which the service ${service} answers HTTP.`),
  ]),
);

export const serviceVariables = {
  HTTP_HOST: field.text('127.0.0.1').describe('Address on which every service listens. An address beyond loopback requires `API_TOKEN`.'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('Least severe messages that a service logs: `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`.'),
};

/**
 * Reads what every service has: its HTTP address, who may ask there, and its log level.
 * @throws PipelineError CONFIG_INVALID, also for an address beyond loopback without API_TOKEN
 */
export function readServiceSettings(defaultPort: number, portVariable: string, environment?: Environment) {
  const shape: z.ZodRawShape = { [portVariable]: field.port(defaultPort), ...serviceVariables };
  const read = readConfig(shape, environment);
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
