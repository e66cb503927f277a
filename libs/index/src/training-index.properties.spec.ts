/** Compares the index, which counts as facts arrive, with the naive one, which looks at all facts, after every fact. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DeadLetter } from '#contracts/dead-letters.js';
import { carriesTarget, emotionTargets, type Labels, type Split, splits, streamOf } from '#contracts/labels.js';
import type { ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { indexOf, linesOf } from './index-contents.js';
import { NaiveIndex } from './naive-index.fixture.js';
import { trainedTiles, TrainingIndex, viewOf } from './training-index.js';

const ids = ['a/0', 'a/1', 'a/2', 'b/0', 'b/1'];
const versions = ['v1', 'v2', 'v3'];
const hashes = ['h1', 'h2', 'h3', 'h4'];
/** h1 comes from before shards stated their geometry. */
const tiles: Record<string, [number, number]> = { h2: [128, 256], h3: [64, 256], h4: [64, 256] };
const sealedAt = (day: number): string => `2026-01-0${day}T00:00:00.000Z`;

const labels = fc.record<Labels>(
  {
    speakerId: fc.constantFrom('s1', 's2'),
    category: fc.constantFrom('sad', 'happy'),
    activation: fc.constantFrom(1, 5),
    valence: fc.constantFrom(2, 3),
  },
  { requiredKeys: [] },
);

/** The content of a version or a shard never changes, because its name is the digest of it. */
interface World {
  versions: { labels: Labels; split: Split; withheld: boolean; tiles: number }[];
  shards: { hash: string; rows: { id: string; version: string }[] }[];
}

const world: fc.Arbitrary<World> = fc.record({
  versions: fc.array(
    fc.record({ labels, split: fc.constantFrom(...splits), withheld: fc.boolean(), tiles: fc.integer({ min: 1, max: 9 }) }),
    { minLength: ids.length * versions.length, maxLength: ids.length * versions.length },
  ),
  shards: fc.array(
    fc.record({
      hash: fc.constantFrom(...hashes),
      rows: fc.uniqueArray(fc.record({ id: fc.constantFrom(...ids), version: fc.constantFrom(...versions) }), {
        minLength: 1,
        maxLength: 6,
        selector: ({ id }) => id,
      }),
    }),
    { minLength: 8, maxLength: 8 },
  ),
});

/** One utterance a corpus, in two versions, so that settings often cover everything. */
const narrowId = (id: string): string => `${id.slice(0, 2)}0`;
const narrowVersion = (version: string): string => (version === 'v3' ? 'v1' : version);

function narrow({ versions: contents, shards }: World): World {
  const narrowed = shards.map(({ hash, rows }) => {
    const byId = new Map(rows.map(({ id, version }) => [narrowId(id), narrowVersion(version)]));
    return { hash, rows: [...byId].map(([id, version]) => ({ id, version })) };
  });
  return { versions: contents, shards: narrowed };
}

function narrowFact(fact: Fact): Fact {
  if (fact.of === 'shard') return fact;
  if (fact.of === 'refusal') return { ...fact, id: narrowId(fact.id), version: narrowVersion(fact.version) };
  return { ...fact, id: narrowId(fact.id), version: fact.version && narrowVersion(fact.version) };
}

type Fact =
  | { of: 'utterance'; id: string; version: string | null }
  | { of: 'shard'; shard: number; day: number | null }
  | { of: 'refusal'; id: string; version: string; hash: string };

const utteranceFact: fc.Arbitrary<Fact> = fc.record({
  of: fc.constant('utterance' as const),
  id: fc.constantFrom(...ids),
  version: fc.option(fc.constantFrom<string>(...versions), { nil: null, freq: 6 }),
});
const shardFact: fc.Arbitrary<Fact> = fc.record({
  of: fc.constant('shard' as const),
  shard: fc.nat(7),
  day: fc.option(fc.integer({ min: 1, max: 4 }), { nil: null, freq: 5 }),
});
const refusalFact: fc.Arbitrary<Fact> = fc.record({
  of: fc.constant('refusal' as const),
  id: fc.constantFrom(...ids),
  version: fc.constantFrom(...versions),
  hash: fc.constantFrom(...hashes),
});
const anyFact = fc.oneof({ arbitrary: utteranceFact, weight: 3 }, { arbitrary: shardFact, weight: 4 }, refusalFact);

function apply(index: TrainingIndex | NaiveIndex, fact: Fact, { versions: contents, shards }: World): void {
  if (fact.of === 'utterance')
    return index.applyUtterance(fact.id, fact.version === null ? null : utteranceOf(fact.id, fact.version, contents));
  if (fact.of === 'refusal') return index.applyDeadLetter(letterOf(fact.id, fact.version, fact.hash));
  const shard = shards[fact.shard] as World['shards'][number];
  const shardId = `shard-${fact.shard}`;
  index.applyShard(shardId, fact.day === null ? null : shardOf(shardId, shard, { contents, day: fact.day }));
}

const contentOf = (id: string, version: string, contents: World['versions']) =>
  contents[ids.indexOf(id) * versions.length + versions.indexOf(version)] as World['versions'][number];

function utteranceOf(utteranceId: string, version: string, contents: World['versions']): UtteranceIngested {
  const { labels: known, split, withheld } = contentOf(utteranceId, version, contents);
  return {
    utteranceId,
    version,
    corpus: utteranceId.slice(0, 1),
    objectKey: `corpora/${utteranceId}`,
    etag: 'e',
    sizeBytes: 1,
    labels: known,
    split,
    withheld,
    silence: 'none',
    ingestedAt: sealedAt(1),
  };
}

function shardOf(
  shardId: string,
  { hash, rows }: World['shards'][number],
  { contents, day }: { contents: World['versions']; day: number },
): ShardSealed {
  let firstRow = 0;
  const utterances = rows.map(({ id, version }) => {
    const { tiles: tileCount } = contentOf(id, version, contents);
    firstRow += tileCount;
    return { utteranceId: id, version, firstRow: firstRow - tileCount, tileCount, audioSec: 1, cutSec: 0 };
  });
  const [first] = rows as [World['shards'][number]['rows'][number]];
  return {
    shardId,
    stream: streamOf(contentOf(first.id, first.version, contents).labels),
    objectKey: `shards/${hash}/${shardId}`,
    sizeBytes: 1,
    settingsHash: hash,
    tile: tiles[hash],
    tileCount: firstRow,
    utterances,
    sealedAt: sealedAt(day),
  };
}

const letterOf = (utteranceId: string, version: string, settingsHash: string): DeadLetter => ({
  stage: 'features',
  code: 'AUDIO_SILENT',
  message: 'silent',
  origin: { topic: 't', partition: 0, offset: '0', keyBase64: null, valueBase64: null },
  utteranceId,
  version,
  settingsHash,
  failedAt: sealedAt(1),
});

/** The answers of the index from its counters, from its view, and from the naive index. All three must agree. */
function expectSame(index: TrainingIndex, naive: NaiveIndex): void {
  const expected = naive.view();
  const view = index.view();
  const { digest, settings, tile, utterances } = view;
  expect({ settings, tile, rows: utterances.map(({ utteranceId, version, shardId }) => [utteranceId, version, shardId]) }).toEqual(
    expected,
  );
  expect(digest).toBe(index.digest);
  expect(viewOf(view.settingsHash, [...utterances].reverse(), view).digest).toBe(digest);
  for (const target of emotionTargets)
    expect(index.counts(target)).toEqual(trainedTiles(view, ({ labels }) => carriesTarget(labels, target)));
  for (const { utteranceId, labels: known, split, withheld, shardId, firstRow, stream } of utterances) {
    const fact = naive.live.get(utteranceId);
    expect({ labels: known, split, withheld }).toEqual({ labels: fact?.labels, split: fact?.split, withheld: fact?.withheld });
    const shard = naive.shards.get(shardId);
    expect({ firstRow, stream }).toEqual({
      firstRow: shard?.utterances.find((each) => each.utteranceId === utteranceId)?.firstRow,
      stream: shard?.stream,
    });
  }
}

/** A reader that lost its connection goes back and reads again from there. */
const repeats = fc.array(fc.record({ after: fc.nat(60), back: fc.integer({ min: 1, max: 8 }) }), { maxLength: 3 });
function withRepeats(facts: Fact[], cuts: { after: number; back: number }[]): Fact[] {
  return facts.flatMap((fact, at) => {
    const cut = cuts.find(({ after }) => after === at);
    return cut ? [fact, ...facts.slice(Math.max(0, at + 1 - cut.back), at + 1)] : [fact];
  });
}

function merged(streams: Fact[][], turns: number[]): Fact[] {
  const left = streams.map((each) => [...each]);
  const order = turns.flatMap((turn) => left[turn % left.length]?.shift() ?? []);
  return [...order, ...left.flat()];
}

describe('the index', () => {
  it('equals the naive index after every fact, before it has caught up and after', () => {
    fc.assert(
      fc.property(world, fc.array(anyFact, { maxLength: 60 }), fc.nat(40), fc.boolean(), (wide, wideFacts, caughtUpAt, isNarrow) => {
        const things = isNarrow ? narrow(wide) : wide;
        const facts = isNarrow ? wideFacts.map(narrowFact) : wideFacts;
        const [index, naive] = [new TrainingIndex(), new NaiveIndex()];
        facts.forEach((fact, at) => {
          if (at === caughtUpAt) for (const each of [index, naive]) each.caughtUp();
          const before = index.digest;
          const { revision } = index;
          for (const each of [index, naive]) apply(each, fact, things);
          expectSame(index, naive);
          if (index.digest !== before) expect(index.revision).toBeGreaterThan(revision);
        });
      }),
      { numRuns: 1000 },
    );
  });

  it('ends the same in any order between the topics, and with any facts twice', () => {
    const order = fc.record({ turns: fc.array(fc.nat(3), { maxLength: 90 }), cuts: fc.array(repeats, { minLength: 4, maxLength: 4 }) });
    const streams = fc.tuple(
      fc.array(utteranceFact, { maxLength: 25 }),
      fc.array(shardFact, { maxLength: 25 }),
      fc.array(shardFact, { maxLength: 10 }),
      fc.array(refusalFact, { maxLength: 10 }),
    );
    fc.assert(
      fc.property(world, streams, order, order, (things, topics, ...orders) => {
        // One of the two shard topics announces each shard.
        const ofTopic = topics.map((facts, at) => facts.filter((fact) => fact.of !== 'shard' || (fact.shard % 2 === 0) === (at === 1)));
        const naive = new NaiveIndex();
        for (const fact of ofTopic.flat()) apply(naive, fact, things);
        for (const { turns, cuts } of orders) {
          const index = new TrainingIndex();
          const read = ofTopic.map((facts, at) => withRepeats(facts, cuts[at] ?? []));
          for (const fact of merged(read, turns)) apply(index, fact, things);
          expectSame(index, naive);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('continues from its snapshot as if it had never stopped', () => {
    fc.assert(
      fc.property(
        world,
        fc.array(anyFact, { maxLength: 60 }),
        fc.array(anyFact, { maxLength: 20 }),
        fc.nat(40),
        (wide, before, after, at) => {
          const things = narrow(wide);
          const index = new TrainingIndex();
          before.map(narrowFact).forEach((fact, place) => {
            if (place === at) index.caughtUp();
            apply(index, fact, things);
          });
          index.caughtUp();
          const restored = indexOf(JSON.parse(JSON.stringify(linesOf(index))) as string[]);
          restored.caughtUp();
          expect(restored.view()).toEqual(index.view());
          for (const fact of after.map(narrowFact)) {
            for (const each of [index, restored]) apply(each, fact, things);
            expect(restored.view()).toEqual(index.view());
            for (const target of emotionTargets) expect(restored.counts(target)).toEqual(index.counts(target));
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});
