import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkpoints } from './checkpoints.js';
import { labelsSchema } from './labels.js';
import { objectHints } from './object-hints.js';
import { incompatibilities, parseRecordedFacts, recordedFactsPath, type RecordedFact } from './recorded-facts.js';
import type { TopicDeclaration, TopicIdentity } from './topic.js';
import { topics } from './topics.js';
import { utteranceIngestedSchema, utterances, utteranceVersion, type UtteranceIngested } from './utterances.js';

const root = new URL('../../../', import.meta.url);
const recordedOf = (topic: TopicIdentity): RecordedFact[] =>
  parseRecordedFacts(readFileSync(new URL(recordedFactsPath(topic), root), 'utf8'));
const byName = topics.map((topic) => [`${topic.noun}.v${topic.version}`, topic] as const);

describe.each(byName)('recorded facts of %s', (_name, topic) => {
  const recorded = recordedOf(topic);

  it('parse today under the same key without losing a field', () => {
    expect(incompatibilities(topic, recorded)).toEqual([]);
  });

  it('include records with and without each optional field', () => {
    const values = recorded.map(({ value }) => value).filter((value) => value !== null);
    for (const path of optionalPaths(z.toJSONSchema(topic.schema, { io: 'input' }))) {
      const seen = new Set(values.flatMap((value) => presence(value, path)));
      expect(seen, `${path.join('.')}: add a record that has it and one that lacks it to ${recordedFactsPath(topic)}`).toEqual(
        new Set([true, false]),
      );
    }
  });

  it('include a tombstone if the topic is compacted', () => {
    expect(recorded.some(({ value }) => value === null)).toBe(topic.storage.cleanup === 'compact');
  });
});

describe('the folder of recorded facts', () => {
  it('has a file for each current topic and keeps those of older versions', () => {
    const files = readdirSync(new URL('libs/contracts/recorded/', root));
    expect(files).toEqual(expect.arrayContaining(byName.map(([name]) => `${name}.jsonl`)));
  });
});

describe('a change that makes old records unreadable', () => {
  const problems = (topic: TopicDeclaration, change: Partial<TopicDeclaration>): string[] =>
    incompatibilities({ ...topic, ...change }, recordedOf(topic));

  it('is reported with file, line, field and remedy when a new field is required', () => {
    const schema = utteranceIngestedSchema.extend({ language: z.string() });
    expect(problems(utterances, { schema })[0]).toBe(
      'libs/contracts/recorded/utterances.v1.jsonl, line 1: the schema refuses language: Invalid input: expected string, received undefined. ' +
        'Records like it lie in undertone.utterances.v1: keep them readable (an optional field, a default), or declare version 2 of the topic.',
    );
  });

  it('is found in the records that lack a field when that field becomes required', () => {
    const schema = utteranceIngestedSchema.safeExtend({ labels: labelsSchema.required({ gender: true }) });
    expect(problems(utterances, { schema })).toEqual([expect.stringContaining('line 7: the schema refuses labels.gender')]);
  });

  it('is found when a vocabulary loses a value', () => {
    const schema = utteranceIngestedSchema.safeExtend({ silence: z.enum(['none', 'ends']) });
    expect(problems(utterances, { schema })).toEqual([expect.stringContaining('the schema refuses silence')]);
  });

  it('is found when a schema loses a field, since parsing would drop it silently', () => {
    const schema = z.object(utteranceIngestedSchema.shape).omit({ withheld: true });
    expect(problems(utterances, { schema })[0]).toContain('line 1: withheld does not come back as it was');
  });

  it('is found when records get another key', () => {
    const keyOf = ({ runId, step }: { runId: string; step: number }): string => `${runId}/${step}`;
    expect(problems(checkpoints, { keyOf })[0]).toMatch(/line 1: its key was "main-\w+" and now is "main-\w+\/400"/);
  });

  it('is not reported for a new field that is optional or has a default', () => {
    const schema = utteranceIngestedSchema.extend({ language: z.string().optional(), priority: z.number().default(0) });
    expect(problems(utterances, { schema })).toEqual([]);
  });

  it('is found when a topic that is not compacted holds tombstones', () => {
    expect(incompatibilities(objectHints, [{ key: 'corpora/a/b.wav', value: null }])).toEqual([expect.stringContaining('tombstone')]);
  });
});

describe('the version of a recorded utterance', () => {
  it('is the digest that utteranceVersion gives today, since another digest would invalidate every tile', () => {
    const alive = recordedOf(utterances).flatMap(({ value }) => (value === null ? [] : [value as UtteranceIngested]));
    expect(alive.map((utterance) => utteranceVersion(utterance))).toEqual(alive.map(({ version }) => version));
  });
});

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Paths of the fields that may be absent; `*` stands for every element of an array. */
function optionalPaths(schema: JsonSchema): string[][] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, part]) => [
    ...(schema.required?.includes(name) ? [] : [[name]]),
    ...optionalPaths(part as JsonSchema).map((path) => [name, ...path]),
  ]);
  const elements = schema.items ? optionalPaths(schema.items as JsonSchema).map((path) => ['*', ...path]) : [];
  const variants = [...(schema.oneOf ?? []), ...(schema.anyOf ?? [])].flatMap((part) => optionalPaths(part));
  return [...own, ...elements, ...variants];
}

/** For each object that could hold the path's last field, @returns true if it does */
function presence(value: unknown, [name = '', ...rest]: string[]): boolean[] {
  if (typeof value !== 'object' || value === null) return [];
  if (name === '*') return Object.values(value).flatMap((element) => presence(element, rest));
  return rest.length === 0 ? [name in value] : presence((value as Record<string, unknown>)[name], rest);
}
