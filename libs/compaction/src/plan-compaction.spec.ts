/** Carries out plans on announcements alone: live rows stay, erased rows go, and a second plan is empty. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { streams, type Stream } from '#contracts/labels.js';
import { factBytesOf, largestFactBytes, type ShardSealed } from '#contracts/shards.js';
import { planCompaction, type CompactionInput, type CompactionPlan, type CompactionSettings } from './plan-compaction.js';

type Rows = [utteranceId: string, version: string, tileCount: number][];
const settings: CompactionSettings = { shardTiles: 10, deadShare: 0.2 };

function shardOf(
  rows: Rows,
  { stream = 'labelled', settingsHash = 'hash', name = '' }: { stream?: Stream; settingsHash?: string; name?: string } = {},
): ShardSealed {
  const shardId =
    name ||
    createHash('sha256')
      .update(JSON.stringify([stream, settingsHash, rows]))
      .digest('hex');
  let firstRow = 0;
  const utterances = rows.map(([utteranceId, version, tileCount]) => {
    firstRow += tileCount;
    return { utteranceId, version, firstRow: firstRow - tileCount, tileCount, audioSec: 1, cutSec: 0 };
  });
  const sealedAt = '2026-01-01T00:00:00.000Z';
  return { shardId, stream, objectKey: shardId, sizeBytes: 1, settingsHash, tileCount: firstRow, utterances, sealedAt };
}

/** Works like compact-shards.ts: rows sorted by id, and shards that it made are never withdrawn. */
function applied(shards: readonly ShardSealed[], plan: CompactionPlan): ShardSealed[] {
  const made = plan.outputs.map(({ stream, settingsHash, parts }) => {
    const rows = parts.flatMap(({ utterances }) =>
      utterances.map((each): Rows[number] => [each.utteranceId, each.version, each.tileCount]),
    );
    return shardOf(
      rows.sort(([a], [b]) => (a < b ? -1 : 1)),
      { stream, settingsHash },
    );
  });
  const gone = new Set(plan.withdrawn.map(({ shardId }) => shardId));
  const left = new Map(shards.filter(({ shardId }) => !gone.has(shardId)).map((shard) => [shard.shardId, shard]));
  for (const shard of made) left.set(shard.shardId, shard);
  return [...left.values()];
}

/** The rows that the index would give to a view, under all feature settings. */
function liveOf(shards: readonly ShardSealed[], versionOf: CompactionInput['versionOf']): string[] {
  const live = new Set<string>();
  for (const { settingsHash, stream, utterances } of shards)
    for (const { utteranceId, version, tileCount } of utterances)
      if (versionOf(utteranceId) === version) live.add([settingsHash, stream, utteranceId, version, tileCount].join());
  return [...live].sort();
}

const planOf = (shards: ShardSealed[], current: Record<string, string>, unreadable: string[] = []) =>
  planCompaction({ shards, versionOf: (id) => current[id], unreadable: new Set(unreadable) }, settings);
const contents = (plan: CompactionPlan) =>
  plan.outputs.map(({ parts }) => parts.flatMap(({ utterances }) => utterances.map(({ utteranceId }) => utteranceId)).sort());
const tilesOf = (all: readonly { tileCount: number }[]) => all.reduce((sum, { tileCount }) => sum + tileCount, 0);
const withdrawn = (plan: CompactionPlan) => plan.withdrawn.map(({ shardId }) => shardId).sort();

describe('a shard', () => {
  it('without a live row is withdrawn unread', () => {
    const shard = shardOf([['a', '1', 3]]);
    for (const current of [{}, { a: '2' }] as Record<string, string>[])
      expect(planOf([shard], current)).toMatchObject({ outputs: [], withdrawn: [shard] });
  });

  it('that holds an erased utterance is rewritten, however large the rest is', () => {
    const shard = shardOf([
      ['a', '1', 900],
      ['b', '1', 1],
    ]);
    const plan = planOf([shard], { a: '1' });
    expect(contents(plan)).toEqual([['a']]);
    expect(plan).toMatchObject({ withdrawn: [shard], dropped: { erased: 1, superseded: 0, duplicate: 0 } });
  });

  it.each([
    { superseded: 1, rewritten: false },
    { superseded: 2, rewritten: true },
  ])('with $superseded superseded tiles of 10 is rewritten: $rewritten', ({ superseded, rewritten }) => {
    const shard = shardOf([
      ['a', '1', 10 - superseded],
      ['b', '1', superseded],
    ]);
    const plan = planOf([shard], { a: '1', b: '2' });
    expect(plan.outputs).toHaveLength(rewritten ? 1 : 0);
  });

  it('that is small stays as it is, or is merged with another of its settings and stream', () => {
    const [one, other] = [shardOf([['a', '1', 3]]), shardOf([['b', '1', 4]])];
    const strangers = [
      shardOf([['c', '1', 2]], { stream: 'unlabelled' }),
      shardOf([['d', '1', 2]], { settingsHash: 'other' }),
      shardOf([['e', '1', 9]]),
    ];
    const current = { a: '1', b: '1', c: '1', d: '1', e: '1' };
    expect(planOf([one, ...strangers], current)).toMatchObject({ outputs: [], withdrawn: [] });
    expect(contents(planOf([one, other, ...strangers], current))).toEqual([['a', 'b']]);
  });

  it('is never larger than allowed, except for one long utterance', () => {
    const long = shardOf([
      ['a', '1', 25],
      ['b', '1', 6],
      ['c', '1', 6],
      ['gone', '1', 1],
    ]);
    expect(contents(planOf([long], { a: '1', b: '1', c: '1' }))).toEqual([['a'], ['b'], ['c']]);
  });

  it('is not merged if its list would not fit into a record', () => {
    const name = (i: number) => `${'long/'.repeat(180)}${i}`;
    const many = (from: number): Rows => Array.from({ length: 200 }, (_, i) => [name(from + i), '1', 1]);
    const shards = [shardOf(many(0)), shardOf(many(200)), shardOf(many(400))];
    const plan = planCompaction({ shards, versionOf: () => '1' }, { shardTiles: 1_024, deadShare: 0.2 });
    expect(plan.outputs.map(({ parts }) => parts.length)).toEqual([]);
    expect(2 * 200 * factBytesOf(name(0))).toBeGreaterThan(largestFactBytes);
  });

  it('that cannot be read is not a source, and keeps the rows that no other shard has', () => {
    const [bad, good] = [
      shardOf(
        [
          ['a', '1', 2],
          ['b', '1', 2],
        ],
        { name: '0' },
      ),
      shardOf([
        ['a', '1', 2],
        ['gone', '1', 1],
      ]),
    ];
    const plan = planOf([bad, good], { a: '1', b: '1' }, ['0']);
    expect(contents(plan)).toEqual([['a']]);
    expect(plan.withdrawn).toEqual([good]);
    expect(planOf([bad], { a: '1' }, ['0'])).toMatchObject({ outputs: [], withdrawn: [] });
    expect(planOf([bad], {}, ['0'])).toMatchObject({ withdrawn: [bad] });
  });
});

describe('duplicates', () => {
  it('of rows in a shard that stays are not written again', () => {
    const stays = shardOf(
      [
        ['a', '1', 9],
        ['b', '1', 1],
      ],
      { name: '9' },
    );
    const goes = shardOf(
      [
        ['b', '1', 1],
        ['c', '1', 6],
        ['gone', '1', 1],
      ],
      { name: '0' },
    );
    const plan = planOf([stays, goes], { a: '1', b: '1', c: '1' });
    expect(contents(plan)).toEqual([['c']]);
    expect(withdrawn(plan)).toEqual(['0']);
    expect(plan.dropped).toEqual({ erased: 1, superseded: 0, duplicate: 1 });
  });

  it('of a job that died between announcing and withdrawing are removed as if it had not died', () => {
    const sources = [shardOf([['a', '1', 2]]), shardOf([['b', '1', 2]])];
    const versionOf = () => '1';
    const done = applied(sources, planCompaction({ shards: sources, versionOf }, settings));
    const half = [...sources, ...done];
    expect(applied(half, planCompaction({ shards: half, versionOf }, settings))).toEqual(done);
    const later = [sources[1] as ShardSealed, ...done];
    expect(applied(later, planCompaction({ shards: later, versionOf }, settings))).toEqual(done);
  });
});

/** Few ids and versions, so that shards share them. A version has the same number of tiles in every shard. */
const anyShards = fc.array(
  fc.record({
    stream: fc.constantFrom(...streams),
    settingsHash: fc.constantFrom('h1', 'h2'),
    rows: fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 12 }),
  }),
  { maxLength: 14 },
);
const anyCurrent = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 31, maxLength: 31 });

it('any plan leaves the same live tiles, no erased ones, no shard that is too large, and nothing more to do', () => {
  fc.assert(
    fc.property(anyShards, anyCurrent, fc.constantFrom(0, 0.2, 1), (made, current, deadShare) => {
      // A version belongs to one stream, because its labels decide. Version 0 means erased.
      const all = made.map(({ stream, settingsHash, rows }) => {
        const side = stream === 'labelled' ? 'l' : 'u';
        return shardOf(
          rows.map(([id, version]): Rows[number] => [`${side}${id}`, String(version), 1 + ((id * 7 + version * 3) % 13)]),
          { stream, settingsHash },
        );
      });
      const shards = [...new Map(all.map((shard) => [shard.shardId, shard])).values()];
      const versionOf = (id: string) => (current[Number(id.slice(1))] ? String(current[Number(id.slice(1))]) : undefined);
      const options = { shardTiles: 10, deadShare };
      const plan = planCompaction({ shards, versionOf }, options);
      const after = applied(shards, plan);
      expect(liveOf(after, versionOf)).toEqual(liveOf(shards, versionOf));
      const held = after.flatMap(({ utterances }) => utterances);
      expect(held.filter(({ utteranceId }) => versionOf(utteranceId) === undefined)).toEqual([]);
      for (const { tileCount, parts } of plan.outputs) {
        const utterances = parts.flatMap((part) => part.utterances);
        expect(tileCount <= 10 || utterances.length === 1).toBe(true);
        expect(new Set(parts.map(({ shard }) => `${shard.stream}/${shard.settingsHash}`)).size).toBe(1);
      }
      const dropped = plan.dropped.erased + plan.dropped.superseded + plan.dropped.duplicate;
      expect(dropped).toBe(tilesOf(plan.withdrawn) - tilesOf(plan.outputs));
      expect(planCompaction({ shards: after, versionOf }, options)).toMatchObject({ outputs: [], withdrawn: [] });
    }),
    { numRuns: 600, seed: 20_261_125 },
  );
});
