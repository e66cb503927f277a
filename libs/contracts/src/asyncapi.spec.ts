import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { asyncApiDocument } from './asyncapi.js';
import { parseRecordedFacts, recordedFactsPath } from './recorded-facts.js';
import type { TopicIdentity } from './topic.js';
import { topics } from './topics.js';

const textOf = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const { version } = JSON.parse(textOf('package.json')) as { version: string };
const content = { topics, version, recordedOf: (topic: TopicIdentity) => parseRecordedFacts(textOf(recordedFactsPath(topic))) };

/** The parts of the document that these tests read. */
interface Document {
  channels: Record<string, { address: string; messages: object; bindings: { kafka: { topicConfiguration: Record<string, unknown> } } }>;
  operations: Record<string, { action: string; channel: { $ref: string } }>;
}
const document = asyncApiDocument(content) as unknown as Document;

describe('docs/asyncapi.yaml', () => {
  it('matches the contracts', () => {
    const stale = 'docs/asyncapi.yaml is stale. Run: npm run build && npm run asyncapi';
    expect(parse(textOf('docs/asyncapi.yaml')), stale).toEqual(document);
  });
});

describe('the AsyncAPI document', () => {
  it('is the same each time it is generated', () => {
    expect(JSON.stringify(asyncApiDocument(content))).toBe(JSON.stringify(document));
  });

  it('has a channel for each topic, at its versioned address', () => {
    const addresses = topics.map((topic) => `undertone.${topic.noun}.v${topic.version}`);
    expect(Object.values(document.channels).map(({ address }) => address)).toEqual(addresses);
  });

  it('describes tombstones for compacted topics only', () => {
    for (const { messages, bindings } of Object.values(document.channels)) {
      const compacted = 'delete.retention.ms' in bindings.kafka.topicConfiguration;
      expect('Tombstone' in messages).toBe(compacted);
    }
  });

  it('names a sender and a receiver for every topic', () => {
    for (const noun of Object.keys(document.channels)) {
      const actions = Object.values(document.operations).filter(({ channel }) => channel.$ref === `#/channels/${noun}`);
      expect(new Set(actions.map(({ action }) => action)), noun).toEqual(new Set(['send', 'receive']));
    }
  });

  it('contains the target of every reference', () => {
    const pointers = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path]) => path ?? '');
    const dangling = pointers.filter(
      (path) =>
        path.split('/').reduce<unknown>((part, name) => (part as Record<string, unknown> | undefined)?.[name], document) === undefined,
    );
    expect(pointers.length).toBeGreaterThan(topics.length);
    expect(dangling).toEqual([]);
  });

  it('cannot be generated without an example of every fact', () => {
    expect(() => asyncApiDocument({ ...content, recordedOf: () => [] })).toThrow('no recorded BucketEvent');
  });
});
