/**
 * The topics as an AsyncAPI 3.0 document with Kafka bindings 0.5.0: a plain object, the same for the same declarations.
 * `scripts/generate-asyncapi.ts` writes it to docs/asyncapi.yaml.
 *
 * It describes what consumers must accept: a field with a default is optional. It leaves the number of replicas to the
 * broker, as the pipeline does when it makes the topics. The one document is about the whole pipeline, so each operation
 * names the party that sends or receives.
 */
import { z } from 'zod';
import type { RecordedFact } from './recorded-facts.js';
import { dayMs, parties, topicName, type Party, type TopicDeclaration } from './topic.js';

type Json = Record<string, unknown>;

export interface AsyncApiContent {
  topics: readonly TopicDeclaration[];
  recordedOf: (topic: TopicDeclaration) => readonly RecordedFact[];
  /** Of the package. */
  version: string;
}

const defaultPrefix = 'undertone';
const kafkaBindingVersion = '0.5.0';

const partyDescriptions: Record<Party, string> = {
  'object-store': 'The S3-compatible store that holds the audio and notifies of changes',
  ingest: 'Objects in the bucket become utterance records',
  features: 'Utterances become sealed shards of spectrogram tiles',
  trainer: 'Shards become checkpoints and predictions',
  evaluator: 'Predictions become scores; serves metrics and the dashboard',
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
        'A streaming service that learns emotion from speech. Large things (audio, shards, weights, predictions) lie in the object ' +
        'store; Kafka carries small facts that point at them. Delivery is at least once: every consumer takes a record that comes twice. ' +
        `Addresses begin with TOPIC_PREFIX, \`${defaultPrefix}\` unless set. A topic's version rises when its old records would not pass.`,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      tags: parties.map((party) => ({ name: party, description: partyDescriptions[party] })),
    },
    defaultContentType: 'application/json',
    servers: {
      embedded: {
        host: 'localhost:19092',
        protocol: 'kafka',
        description: 'The broker that `npm start` brings. Elsewhere: KAFKA_BROKERS, KAFKA_SSL and KAFKA_SASL_*.',
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
  if (!example) throw new Error(`there is no recorded ${name} for ${topicName(topic, defaultPrefix)} to be its example`);
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
    summary: 'A record without a value: its key is dead',
    description: `Readable for at least ${days} days. A reader that was away for longer starts anew.`,
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

/** @returns the fact of a topic, or each variant where there are several */
function factsOf(topic: TopicDeclaration): Fact[] {
  const variants = topic.schema instanceof z.ZodDiscriminatedUnion ? (topic.schema.options as z.ZodType[]) : [topic.schema];
  return variants.map((schema) => {
    const { title, description } = schema.meta() ?? {};
    if (!title || !description) throw new Error(`a fact of ${topicName(topic, defaultPrefix)} has no title or no description`);
    return { name: title, description, schema };
  });
}

/** Draft 7, which AsyncAPI's own schema language extends; without what Zod adds only because of how numbers are kept. */
function jsonSchemaOf(schema: z.ZodType): Json {
  const { $schema: _dialect, ...jsonSchema } = z.toJSONSchema(schema, {
    target: 'draft-7',
    io: 'input',
    override: ({ jsonSchema: part }) => {
      if (part.maximum === Number.MAX_SAFE_INTEGER) delete part.maximum;
      if (part.minimum === Number.MIN_SAFE_INTEGER) delete part.minimum;
      // Zod's own pattern repeats the calendar; all that it asks beyond RFC 3339 is UTC.
      if (part.format === 'date-time') part.pattern = 'Z$';
    },
  });
  return jsonSchema;
}
