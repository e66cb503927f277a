/**
 * Describes the topics as an AsyncAPI 3.0 document with Kafka bindings 0.5.0. The result is a plain object. The same
 * declarations always give the same document. `scripts/generate-asyncapi.ts` writes it to docs/asyncapi.yaml.
 *
 * The document describes the records that consumers must accept, so a field with a default is optional. It leaves the
 * number of replicas to the broker, as the pipeline does when it creates the topics. One document covers the whole
 * pipeline, so each operation names the party that sends or receives.
 */
import { z } from 'zod';
import type { RecordedFact } from './recorded-facts.js';
import { dayMs, parties, topicName, type Party, type TopicDeclaration } from './topic.js';

type Json = Record<string, unknown>;

export interface AsyncApiContent {
  topics: readonly TopicDeclaration[];
  recordedOf: (topic: TopicDeclaration) => readonly RecordedFact[];
  /** Version of the package. */
  version: string;
}

const defaultPrefix = 'undertone';
const kafkaBindingVersion = '0.5.0';

const partyDescriptions: Record<Party, string> = {
  'object-store': 'The S3-compatible store that holds the audio and sends notifications of changes',
  ingest: 'Turns objects in the bucket into utterance records',
  features: 'Turns utterances into sealed shards of spectrogram tiles',
  trainer: 'Trains on shards; writes checkpoints and predictions',
  evaluator: 'Scores predictions; serves metrics and the dashboard',
  predictor: 'Scores each live utterance with the champion; answers predictions over HTTP',
  cli: 'The `undertone` command',
};

export function asyncApiDocument({ topics, recordedOf, version }: AsyncApiContent): Json {
  const facts = topics.flatMap(factsOf);
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Undertone',
      version,
      description:
        'A streaming service that learns emotion from speech. The object store holds large things (audio, shards, weights, ' +
        'predictions). Kafka carries small facts that point at them. Delivery is at least once: every consumer accepts a record twice. ' +
        `Addresses begin with TOPIC_PREFIX (default \`${defaultPrefix}\`). A topic gets a new version when its schema no longer accepts old records.`,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      tags: parties.map((party) => ({ name: party, description: partyDescriptions[party] })),
    },
    defaultContentType: 'application/json',
    servers: {
      embedded: {
        host: 'localhost:19092',
        protocol: 'kafka',
        description: 'The broker that `npm start` starts. For another broker, set KAFKA_BROKERS, KAFKA_SSL and KAFKA_SASL_*.',
      },
    },
    channels: Object.fromEntries(topics.map((topic) => [topic.noun, channelOf(topic, recordedOf(topic))])),
    operations: Object.fromEntries(topics.flatMap(operationsOf)),
    components: { schemas: Object.fromEntries(facts.map(({ name, schema }) => [name, jsonSchemaOf(schema)])) },
  };
}

function channelOf(topic: TopicDeclaration, recorded: readonly RecordedFact[]): Json {
  const { cleanup, partitions, retentionMs, segmentMs, deleteRetentionMs, minInsyncReplicas } = topic.storage;
  const compacted = cleanup === 'compact';
  const messages = factsOf(topic).map((fact) => [fact.name, messageOf(topic, fact, recorded)]);
  return {
    address: topicName(topic, defaultPrefix),
    description: topic.description,
    servers: [{ $ref: '#/servers/embedded' }],
    messages: Object.fromEntries(compacted ? [...messages, ['Tombstone', tombstoneOf(topic)]] : messages),
    bindings: {
      kafka: {
        partitions,
        topicConfiguration: {
          'cleanup.policy': [cleanup],
          ...(compacted ? { 'delete.retention.ms': deleteRetentionMs } : { 'retention.ms': retentionMs }),
          'segment.ms': segmentMs,
          'min.insync.replicas': minInsyncReplicas,
        },
        bindingVersion: kafkaBindingVersion,
      },
    },
  };
}

function messageOf(topic: TopicDeclaration, { name, description, schema }: Fact, recorded: readonly RecordedFact[]): Json {
  const example = recorded.find(({ value }) => value !== null && schema.safeParse(value).success);
  if (!example)
    throw new Error(`${topicName(topic, defaultPrefix)} has no recorded ${name} to use as an example. Add one to libs/contracts/recorded.`);
  return {
    name,
    title: name,
    summary: description,
    contentType: 'application/json',
    payload: { $ref: `#/components/schemas/${name}` },
    bindings: keyBinding(topic),
    examples: [{ name: `recorded${name}`, payload: example.value }],
  };
}

function tombstoneOf(topic: TopicDeclaration): Json {
  const days = (topic.storage.deleteRetentionMs ?? 0) / dayMs;
  return {
    name: 'Tombstone',
    title: 'Tombstone',
    summary: 'A record without a value: the key is deleted',
    description: `The broker keeps it for at least ${days} days. A reader that was away for longer reads the topic from the start.`,
    payload: { type: 'null' },
    bindings: keyBinding(topic),
  };
}

const keyBinding = (topic: TopicDeclaration): Json => ({
  kafka: { key: jsonSchemaOf(topic.keySchema), bindingVersion: kafkaBindingVersion },
});

function operationsOf(topic: TopicDeclaration): [string, Json][] {
  const operation = (party: Party, action: 'send' | 'receive'): [string, Json] => [
    `${party}-${action}s-${topic.noun}`,
    { action, channel: { $ref: `#/channels/${topic.noun}` }, tags: [{ name: party }] },
  ];
  return [...topic.producers.map((party) => operation(party, 'send')), ...topic.consumers.map((party) => operation(party, 'receive'))];
}

interface Fact {
  name: string;
  description: string;
  schema: z.ZodType;
}

/** @returns the topic's one fact, or each variant where the topic has several */
function factsOf(topic: TopicDeclaration): Fact[] {
  const variants = topic.schema instanceof z.ZodDiscriminatedUnion ? (topic.schema.options as z.ZodType[]) : [topic.schema];
  return variants.map((schema) => {
    const { title, description } = schema.meta() ?? {};
    if (!title || !description)
      throw new Error(`A fact of ${topicName(topic, defaultPrefix)} has no title or no description. Give its schema both with .meta().`);
    return { name: title, description, schema };
  });
}

/** JSON Schema draft 7, which AsyncAPI's own schema language extends. Leaves out the safe-integer limits that Zod adds. */
function jsonSchemaOf(schema: z.ZodType): Json {
  const { $schema: _dialect, ...jsonSchema } = z.toJSONSchema(schema, {
    target: 'draft-7',
    io: 'input',
    override: ({ jsonSchema: part }) => {
      if (part.maximum === Number.MAX_SAFE_INTEGER) delete part.maximum;
      if (part.minimum === Number.MIN_SAFE_INTEGER) delete part.minimum;
      // Zod's own pattern repeats the calendar. Beyond RFC 3339 it asks for UTC only.
      if (part.format === 'date-time') part.pattern = 'Z$';
    },
  });
  return jsonSchema;
}
