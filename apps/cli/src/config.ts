/** The command line reads the environment here and nowhere else. */
import { randomBytes } from 'node:crypto';
import { field, type Environment } from '#service/read-config.js';

export const environment: Environment = process.env;

/** Ports of the embedded servers, unless `KAFKA_PORT` and `S3_PORT` name others. */
export const embeddedPorts = { kafka: 19_092, s3: 18_333 } as const;

/** Variables that the command line reads itself, for docs/configuration.md. */
export const cliVariables = {
  UNDERTONE_HOME: field
    .optionalText()
    .meta({ shownDefault: '`.undertone` beside package.json' })
    .describe('Folder for the data of embedded stacks. `reset` deletes these data, and nothing else in the folder.'),
  UNDERTONE_CORPORA: field
    .optionalText()
    .describe(
      'Folder with corpora of real people, a folder each (`ravdess/`, `librispeech/`). Experiments with `shards: corpora` learn them, and `npm test` has further tests on them.',
    ),
  KAFKA_PORT: field.port(embeddedPorts.kafka).describe('Port of the embedded Kafka. Kafka also takes further ports from the free ones.'),
  S3_PORT: field.port(embeddedPorts.s3).describe('Port of the embedded S3 server. The server also takes further ports from the free ones.'),
  EVALUATOR_URL: field
    .text('http://127.0.0.1:7400')
    .describe(
      'Address of the evaluator. `status` asks it for restarts of services. Commands beside a running stack find it by themselves.',
    ),
  FEATURES_URL: field
    .text('http://127.0.0.1:7402')
    .describe('Address of features. `reprocess` asks it for its settings. Commands beside a running stack find it by themselves.'),
  TRAINER_URL: field
    .text('http://127.0.0.1:7403')
    .describe('Address of the trainer. `status` asks it about its rounds. Commands beside a running stack find it by themselves.'),
  PREDICTOR_URL: field
    .text('http://127.0.0.1:7404')
    .describe('Address of the predictor. `status` asks it about its scores. Commands beside a running stack find it by themselves.'),
};

/** Gives the AWS SDK, which reads the process's own environment, the keys of the stack that a command speaks to. */
export function adoptCredentials(from: Environment): void {
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_REGION']) {
    const value = from[name];
    if (value !== undefined) process.env[name] = value;
  }
}

/** Keeps TensorFlow from printing its greeting on stderr. It has to be set before TensorFlow is loaded. */
export function quietTensorflow(): void {
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
}

/** Keys of an embedded object store. Each stack makes its own, and they open nothing else. */
export const freshCredentials = (): { AWS_ACCESS_KEY_ID: string; AWS_SECRET_ACCESS_KEY: string } => ({
  AWS_ACCESS_KEY_ID: `undertone${randomBytes(6).toString('hex')}`,
  AWS_SECRET_ACCESS_KEY: randomBytes(20).toString('hex'),
});

/** Makes an API_TOKEN for a stack whose caller has set none. */
export const freshToken = (): string => randomBytes(20).toString('hex');
