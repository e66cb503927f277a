/** Cases that come as records: every topic gets noise, wrong shapes, hostile values, foreign keys, tombstones and batches that cannot be unpacked. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bucketEvents } from '#contracts/bucket-events.js';
import type { Stage } from '#contracts/dead-letters.js';
import { featureSettingsChosen } from '#contracts/feature-settings.js';
import { objectHints } from '#contracts/object-hints.js';
import { corpusKey } from '#contracts/object-keys.js';
import { predictions } from '#contracts/predictions.js';
import { parseRecordedFacts, recordedFactsPath, type RecordedFact } from '#contracts/recorded-facts.js';
import type { Topic } from '#contracts/topic.js';
import { topics } from '#contracts/topics.js';
import { utterances } from '#contracts/utterances.js';
import { packageRoot } from '#service/package-root.js';
import type { SeededRandom } from '../chaos/seeded-random.js';
import { hostileCopy, hostileWords, noise, wrongShape } from './damage.js';
import type { FuzzWorld } from './fuzz-world.js';
import type { FuzzCase } from './object-cases.js';

type AnyTopic = (typeof topics)[number];

/** Who takes the records of a topic one by one, and owes a letter for each that it cannot use. */
const takers: Partial<Record<string, Stage>> = {
  [bucketEvents.noun]: 'ingest',
  [objectHints.noun]: 'ingest',
  [utterances.noun]: 'features',
  [predictions.noun]: 'evaluator',
};

const facts = new Map<string, RecordedFact[]>();
function factsOf(topic: AnyTopic): RecordedFact[] {
  const before = facts.get(topic.noun);
  if (before) return before;
  const read = parseRecordedFacts(readFileSync(join(packageRoot, recordedFactsPath(topic)), 'utf8')).filter(({ value }) => value !== null);
  facts.set(topic.noun, read);
  return read;
}

const withName = (topic: AnyTopic, what: string): string => `${topic.noun}: ${what}`;

export const wrongRecord: FuzzCase = async (world, random, number) => {
  const topic = random.pick(topics);
  const value = wrongShape(random);
  const kind = withName(topic, 'wrong shape');
  const sent = await world.send(topic, { key: `fuzz-record-${number}/x.wav`, value });
  // SeaweedFS sends protobuf, which noise may resemble; and an empty value is none.
  const isSurelyRefused = topic.noun !== bucketEvents.noun && !fits(topic, value);
  world.account.expectLetter(kind, sent, isSurelyRefused ? (takers[topic.noun] ?? null) : null);
  return kind;
};

export const hostileRecord: FuzzCase = async (world, random, number) => {
  const topic = random.pick(topics);
  const { value } = random.pick(factsOf(topic));
  const hostile = hostileCopy(value, random);
  // Feature settings that a forger chose are settings: who may write to Kafka may do that.
  if (topic.noun === featureSettingsChosen.noun && topic.schema.safeParse(hostile).success) return hostileSettings(world, random, number);
  const bytes = Buffer.from(JSON.stringify(hostile));
  const ownKey = keyOf(topic, hostile) ?? `fuzz-record-${number}/x.wav`;
  const isForeign = random.chance(0.2);
  const key = isForeign ? `fuzz-record-${number}/${random.pick(hostileWords).slice(0, 40)}` : ownKey;
  const kind = withName(topic, isForeign ? 'foreign key' : 'hostile value');
  const sent = await world.send(topic, { key, value: bytes });
  const isSurelyRefused = topic.noun !== bucketEvents.noun && !fits(topic, bytes);
  world.account.expectLetter(kind, sent, isSurelyRefused ? (takers[topic.noun] ?? null) : null);
  return kind;
};

/** The map that features goes by, with corpora in it that no plain object can hold. */
async function hostileSettings(world: FuzzWorld, random: SeededRandom, number: number): Promise<string> {
  const kind = withName(featureSettingsChosen, 'hostile corpora');
  const answer = await fetch(`${world.pipeline.url('features')}/settings`).catch(() => null);
  const chosen = answer?.ok ? ((await answer.json()) as { default: { hash: string; settings: { rows: number; width: number } } }) : null;
  if (!chosen) return kind;
  const settings = { settingsHash: chosen.default.hash, tile: [chosen.default.settings.rows, chosen.default.settings.width] };
  const text = JSON.stringify({
    default: settings,
    corpora: { [`fuzz-${number}`]: settings, MARK: settings },
    chosenAt: new Date().toISOString(),
  });
  const value = Buffer.from(text.replace('MARK', random.pick(['__proto__', 'constructor', 'toString', ''])));
  world.account.expectLetter(kind, await world.send(featureSettingsChosen, { key: 'features', value }), null);
  return kind;
}

export const tombstone: FuzzCase = async (world, random, number) => {
  const topic = random.pick(topics);
  const kind = withName(topic, 'tombstone');
  if (topic.noun === featureSettingsChosen.noun) return wrongRecord(world, random, number);
  const key = random.chance(0.2) ? random.pick(hostileWords).slice(0, 100) : `fuzz-record-${number}/gone.wav`;
  world.account.expectLetter(kind, await world.send(topic, { key, value: null }), null);
  return kind;
};

export const packedBatch: FuzzCase = async (world, random, number) => {
  const topic = random.pick(topics);
  const isBomb = random.chance(0.3);
  const kind = withName(topic, isBomb ? 'bomb' : 'batch that cannot be unpacked');
  const sent = isBomb
    ? await world.sendBomb(topic, `fuzz-bomb-${number}`)
    : await world.sendPacked(topic, noise(random, 50 + random.below(300)));
  if (!sent) return `${kind}, refused by the broker`;
  world.account.expectLetter(kind, sent, takers[topic.noun] ?? null);
  return kind;
};

/** Records about good recordings, written by somebody else: the next listing must put them right. */
export const forgedUtterance: FuzzCase = async (world, random) => {
  const id = random.pick([...world.account.goodSoFar, '']);
  const record = world.account.recordOf(id);
  if (!record) return withName(utterances, 'forged, too early');
  const isTombstone = random.chance(0.5);
  const forged = { ...record, version: 'f'.repeat(16), labels: { speakerId: 'constructor', category: 'sad' }, withheld: false };
  await world.send(utterances, { key: id, value: isTombstone ? null : Buffer.from(JSON.stringify(forged)) });
  return withName(utterances, isTombstone ? 'tombstone of a good recording' : 'forged version of a good recording');
};

export const hostileEvent: FuzzCase = async (world, random, number) => {
  const bad = [
    `x/../../private/${number}.wav`,
    `nul\u0000${number}.wav`,
    `half\ud800${number}.wav`,
    `a//b-${number}.wav`,
    `${'x'.repeat(1_100)}${number}.wav`,
  ];
  const record = (key: unknown): unknown => ({ eventSource: 'ceph:s3', s3: { bucket: { name: world.pipeline.prefix }, object: { key } } });
  const events: [event: unknown, isSurelyRefused: boolean][] = [
    [{ Records: [null, number] }, true],
    [{ Records: [record(7), record(corpusKey('fuzz-events', random.pick(bad)))] }, true],
    [{ Records: [record(corpusKey('fuzz-events', random.pick(bad)))] }, true],
    [{ Messages: [null, number] }, true],
    [{ Records: [record(corpusKey('fuzz-events', `not-there-${number}.wav`))] }, false],
    [{ Records: Array.from({ length: 1_200 }, (_, n) => record(corpusKey('fuzz-events', `many-${number}-${n}.wav`))) }, true],
    [number, true],
    [[number], true],
    [{ hello: number }, true],
  ];
  const [event, isSurelyRefused] = random.pick(events);
  const kind = withName(bucketEvents, 'hostile event');
  const sent = await world.send(bucketEvents, { key: null, value: Buffer.from(JSON.stringify(event)) });
  world.account.expectLetter(`${kind} ${JSON.stringify(event).slice(0, 80)}`, sent, isSurelyRefused ? 'ingest' : null);
  return kind;
};

export const hostileHint: FuzzCase = async (world, random, number) => {
  const [path, isSurelyRefused] = random.pick<[string, boolean]>([
    [`corpora/fuzz-hints/a/../../b-${number}.wav`, true],
    [`corpora/fuzz-hints/nul\u0000${number}.wav`, true],
    [`corpora/fuzz-hints//${number}.wav`, true],
    [`corpora/fuzz-hints/not-there-${number}.wav`, false],
    [`corpora/fuzz-hints/not-there-${number}.zip`, false],
    [`corpora/constructor/not-there-${number}.wav`, false],
    [`corpora/__proto__/manifest.csv`, false],
    [`private/${number}`, false],
  ]);
  const hint = { key: path, reason: 'replay', again: true, hintedAt: new Date().toISOString() };
  const kind = withName(objectHints, 'hostile hint');
  const sent = await world.send(objectHints, { key: path, value: Buffer.from(JSON.stringify(hint)) });
  world.account.expectLetter(`${kind} ${JSON.stringify(path)}`, sent, isSurelyRefused ? 'ingest' : null);
  return kind;
};

function fits(topic: AnyTopic, value: Buffer): boolean {
  try {
    return topic.schema.safeParse(JSON.parse(value.toString())).success;
  } catch {
    return false;
  }
}

/** As its writer would key it; null for what has no key, or is not of the topic at all. */
function keyOf(topic: AnyTopic, value: unknown): string | null {
  try {
    // A hostile value may give a key of any type, and the client sends text only.
    const key: unknown = (topic as Topic<unknown>).keyOf(value);
    return typeof key === 'string' ? key : null;
  } catch {
    return null;
  }
}
