import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkpoints } from './checkpoints.js';
import { experimentJobs } from './experiment-jobs.js';
import { featureSettingsChosen } from './feature-settings.js';
import { corpusWarningsKey } from './corpus-warnings.js';
import { archiveJobKey, crashCountKey, isOwnObject, type OwnObject } from './object-keys.js';
import { predictions } from './predictions.js';
import { promotions } from './promotions.js';
import { parseRecordedFacts, recordedFactsPath } from './recorded-facts.js';
import { shardsLabelled } from './shards.js';
import { keyProblem, type TopicDeclaration } from './topic.js';
import { utterances } from './utterances.js';

type Fields = Record<string, unknown>;

const root = new URL('../../../', import.meta.url);
/** A correct record: the first one of the recorded facts. */
const honest = (topic: TopicDeclaration): { key: string | null; value: Fields } => {
  const facts = parseRecordedFacts(readFileSync(new URL(recordedFactsPath(topic), root), 'utf8'));
  return facts.find(({ value }) => value !== null) as { key: string | null; value: Fields };
};
/** Decides as a consumer does. */
const isBelieved = (topic: TopicDeclaration, key: string | null, value: unknown): boolean => {
  const parsed = topic.schema.safeParse(value);
  return parsed.success && keyProblem(topic, key, parsed.data as never) === null;
};

const escape = '../../../../etc/passwd';
const forgeries: [topic: TopicDeclaration, what: string, changes: Fields][] = [
  [shardsLabelled, 'the key of a recording', { objectKey: 'corpora/acted/f01.flac' }],
  [shardsLabelled, 'the key of a manifest of a model', { objectKey: 'models/main/000000400/manifest.json' }],
  [shardsLabelled, 'the key of another shard', { objectKey: `shards/${'0'.repeat(16)}/${'1'.repeat(64)}.arrow` }],
  [shardsLabelled, 'an empty key', { objectKey: '' }],
  [shardsLabelled, 'an id that leads out of a folder', { shardId: '../'.repeat(21) + 'x' }],
  [shardsLabelled, 'an id in capitals', { shardId: 'A'.repeat(64) }],
  [shardsLabelled, 'a settings hash that leads out of a folder', { settingsHash: '../../../../../a' }],
  [shardsLabelled, 'rows beyond its tiles', { tileCount: 2 }],
  [shardsLabelled, 'a tile of more than 16 MiB', { tile: [4_096, 65_536] }],
  [shardsLabelled, 'a tile of more rows than any transform has', { tile: [65_536, 1] }],
  [shardsLabelled, 'a tile of more frames than settings allow', { tile: [1, 100_000] }],
  [shardsLabelled, 'more bytes than a reader takes', { sizeBytes: 2 ** 40 }],
  [shardsLabelled, 'more tiles than a shard has', { tileCount: 2 ** 40 }],
  [featureSettingsChosen, 'a tile of more than 16 MiB', { default: { settingsHash: '0'.repeat(16), tile: [4_096, 65_536] } }],
  [predictions, 'the key of a recording', { objectKey: 'corpora/acted/f01.flac' }],
  [predictions, 'a key of another step', { objectKey: 'predictions/main-b79606fb3afe/000000500/emotion.arrow' }],
  [predictions, 'a run that leads out of a folder', { runId: '..' }],
  [predictions, 'a digest that is none', { sha256: '../'.repeat(21) + 'x' }],
  [checkpoints, 'the manifest of another run', { manifestKey: 'models/other/000000400/manifest.json' }],
  [checkpoints, 'the key of a recording', { manifestKey: 'corpora/acted/f01.flac' }],
  [checkpoints, 'a run that leads out of a folder', { runId: escape, manifestKey: `models/${escape}/000000400/manifest.json` }],
  [promotions, 'a run that leads out of a folder', { challenger: { runId: escape, step: 1 } }],
  [experimentJobs, 'an experiment that leads out of a folder', { experiment: '../../state' }],
  [experimentJobs, 'a job that leads out of a folder', { jobId: '..' }],
  [utterances, 'the key of a model', { objectKey: 'models/main/000000400/manifest.json' }],
  [utterances, 'the key of another recording', { objectKey: 'corpora/acted/other.flac' }],
  [utterances, 'another corpus', { corpus: 'other' }],
  [
    featureSettingsChosen,
    'a settings hash that leads out of a folder',
    { default: { settingsHash: '../../../../../a', tile: [128, 256] } },
  ],
];

describe('a record', () => {
  const topics = [...new Set(forgeries.map(([topic]) => topic))];
  it.each(topics.map((topic) => [topic.noun, topic] as const))('of %s is accepted as recorded', (_noun, topic) => {
    const { key, value } = honest(topic);
    expect(isBelieved(topic, key, value)).toBe(true);
  });

  it.each(topics.map((topic) => [topic.noun, topic] as const))('of %s is refused under a wrong key', (_noun, topic) => {
    expect(isBelieved(topic, escape, honest(topic).value)).toBe(false);
  });

  it.each(forgeries.map(([topic, what, changes]) => [topic.noun, what, topic, changes] as const))(
    'of %s is refused with %s',
    (_noun, _what, topic, changes) => {
      const value = { ...honest(topic).value, ...changes };
      const key = topic.keyOf(value as never);
      expect(isBelieved(topic, key, value)).toBe(false);
    },
  );
});

const mayDelete: [kind: OwnObject, key: string][] = [
  ['shard', `shards/${'0'.repeat(16)}/${'a'.repeat(64)}.arrow`],
  ['predictions', 'predictions/main-b79606fb3afe/000000400/emotion.arrow'],
  ['predictions', `predictions/main/000000400/clusters-3-${'b'.repeat(16)}.arrow`],
  ['checkpoint', 'models/main/000000400/manifest.json'],
  ['checkpoint', `models/main/000000400/weights-${'c'.repeat(16)}.safetensors`],
  ['featureSettings', 'state/feature-settings/acted.json'],
  ['indexSnapshot', `state/index/undertone/2026-11-22T09-14-02-871Z-${'d'.repeat(64)}.zst`],
  ['hold', 'state/holds/export-1.json'],
  ['crashCount', crashCountKey('undertone', 'features', 'e'.repeat(64))],
  ['archiveJob', archiveJobKey('corpora/acted.zip')],
  ['corpusWarnings', corpusWarningsKey('acted')],
  ['jobFailure', 'jobs/07a750ba5cbfe64063547a3a/failed.json'],
];
const kinds = [...new Set(mayDelete.map(([kind]) => kind))];

describe('an object that Undertone may delete', () => {
  it.each(mayDelete)('of kind %s has the key %s, which no other kind matches', (kind, key) => {
    expect(kinds.filter((each) => isOwnObject(key, each))).toEqual([kind]);
  });

  it.each([
    'corpora/acted/f01.flac',
    `corpora/shards/${'0'.repeat(16)}/${'a'.repeat(64)}.arrow`,
    'shards/',
    `shards/${'0'.repeat(16)}/../../corpora/acted/f01.flac`,
    `shards/../shards/${'a'.repeat(64)}.arrow`,
    'models/../000000400/manifest.json',
    'models/main/lease.json',
    'models/main/000000400/../../../corpora/a.wav',
    'champions/1.json',
    'predictions/../000000400/emotion.arrow',
    'state/holds/../../corpora/a.json',
    `state/crashes/../${'e'.repeat(64)}.json`,
    'state/archives/notes.json',
    'state/corpus-warnings/../../corpora/a.json',
    'jobs/../failed.json',
    'jobs/07a750ba5cbfe64063547a3a/result.json',
    '',
  ])('is not %j', (key) => {
    expect(kinds.filter((kind) => isOwnObject(key, kind))).toEqual([]);
  });
});
