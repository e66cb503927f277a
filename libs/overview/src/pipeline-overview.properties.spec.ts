/** Compares the incremental overview with a slow one that scans all facts. They must agree after every fact. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DeadLetter } from '#contracts/dead-letters.js';
import type { FeatureSettingsChosen } from '#contracts/feature-settings.js';
import { type Labels, type Split, splits, streams, type Stream } from '#contracts/labels.js';
import type { ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { corpusOf } from '#contracts/object-keys.js';
import { NaiveOverview } from './naive-overview.fixture.js';
import { PipelineOverview } from './pipeline-overview.js';

const ids = ['a/0', 'a/1', 'b/0', 'constructor/0', '__proto__/0'];
const versions = ['v1', 'v2'];
const hashes = ['h1', 'h2', 'h3'];
const day = (at: number): string => `2026-01-0${at}T00:00:00.000Z`;

type Fact =
  | { of: 'utterance'; id: string; version: string | null; labels: Labels; split: Split; withheld: boolean; at: number }
  | { of: 'shard'; shardId: string; stream: Stream; hash: string; rows: { id: string; version: string; tiles: number }[] | null }
  | { of: 'settings'; hash: string | null; others: string }
  | { of: 'letter'; letter: Pick<DeadLetter, 'stage' | 'code' | 'utteranceId' | 'version' | 'settingsHash'> };

const utteranceFact: fc.Arbitrary<Fact> = fc.record({
  of: fc.constant('utterance' as const),
  id: fc.constantFrom(...ids),
  version: fc.option(fc.constantFrom(...versions), { nil: null, freq: 4 }),
  labels: fc.record<Labels>({ speakerId: fc.constantFrom('s1', 's2'), category: fc.constantFrom('sad') }, { requiredKeys: [] }),
  split: fc.constantFrom(...splits),
  withheld: fc.boolean(),
  at: fc.integer({ min: 1, max: 9 }),
});
const row = fc.record({ id: fc.constantFrom(...ids), version: fc.constantFrom(...versions), tiles: fc.integer({ min: 1, max: 9 }) });
const shardFact: fc.Arbitrary<Fact> = fc.record({
  of: fc.constant('shard' as const),
  shardId: fc.constantFrom('s1', 's2', 's3', 's4'),
  stream: fc.constantFrom(...streams),
  hash: fc.constantFrom(...hashes),
  rows: fc.option(fc.uniqueArray(row, { minLength: 1, maxLength: 5, selector: ({ id, version }) => id + version }), { nil: null, freq: 4 }),
});
const settingsFact: fc.Arbitrary<Fact> = fc.record({
  of: fc.constant('settings' as const),
  hash: fc.option(fc.constantFrom(...hashes), { nil: null, freq: 6 }),
  others: fc.constantFrom(...hashes),
});
const letterFact: fc.Arbitrary<Fact> = fc.record({
  of: fc.constant('letter' as const),
  letter: fc.record({
    stage: fc.constantFrom('ingest' as const, 'features' as const, 'evaluator' as const),
    code: fc.constantFrom('AUDIO_EMPTY' as const, 'MANIFEST_INVALID' as const),
    utteranceId: fc.option(fc.constantFrom(...ids), { nil: undefined, freq: 6 }),
    version: fc.option(fc.constantFrom(...versions), { nil: undefined, freq: 3 }),
    settingsHash: fc.option(fc.constantFrom(...hashes), { nil: undefined, freq: 3 }),
  }),
});
const anyFact = fc.oneof(
  { arbitrary: utteranceFact, weight: 4 },
  { arbitrary: shardFact, weight: 4 },
  { arbitrary: letterFact, weight: 3 },
  settingsFact,
);

function apply(overview: PipelineOverview | NaiveOverview, fact: Fact): void {
  if (fact.of === 'utterance') return overview.applyUtterance(fact.id, fact.version === null ? null : utteranceOf(fact, fact.version));
  if (fact.of === 'shard') return overview.applyShard(fact.shardId, fact.rows && shardOf(fact, fact.rows));
  if (fact.of === 'settings') return overview.applySettings(fact.hash === null ? null : settingsOf(fact.hash, fact.others));
  const origin = { topic: 't', partition: 0, offset: '0', keyBase64: null, valueBase64: null };
  overview.applyDeadLetter({ ...fact.letter, message: 'm', origin, failedAt: day(1) });
}

function utteranceOf({ id, labels, split, withheld, at }: Extract<Fact, { of: 'utterance' }>, version: string): UtteranceIngested {
  const content = { etag: 'e', sizeBytes: 1, labels, silence: 'none' } as const;
  return { ...content, utteranceId: id, version, corpus: corpusOf(id), objectKey: `corpora/${id}`, split, withheld, ingestedAt: day(at) };
}

function shardOf(
  { shardId, stream, hash }: Extract<Fact, { of: 'shard' }>,
  rows: { id: string; version: string; tiles: number }[],
): ShardSealed {
  const utterances = rows.map(({ id, version, tiles }) => {
    return {
      utteranceId: id,
      version,
      firstRow: 0,
      tileCount: tiles,
      audioSec: tiles * 0.5,
      cutSec: tiles * 0.25,
      ...(tiles > 4 && { leftOut: { 'little speech': tiles } }),
    };
  });
  return { shardId, stream, objectKey: 'o', sizeBytes: 1, settingsHash: hash, tileCount: 1, utterances, sealedAt: day(1) };
}

/** Corpus a has settings of its own. */
function settingsOf(own: string, others: string): FeatureSettingsChosen {
  const chosen = (settingsHash: string): FeatureSettingsChosen['default'] => ({ settingsHash, tile: [128, 256] });
  return { default: chosen(others), corpora: { a: chosen(own) }, chosenAt: day(1) };
}

function stateOf(overview: PipelineOverview): ReturnType<NaiveOverview['state']> {
  const { utterances, streams: totals, silenceCutSec, tilesLeftOut, labelledSpeakers, moves, deadLetters } = overview.snapshot();
  const { inFlight, ...counts } = overview.reconcile();
  return {
    reconciliation: { ...counts, inFlight: inFlight.sort() },
    byCorpus: utterances.byCorpus,
    bySplit: utterances.bySplit,
    streams: totals,
    silenceCutSec,
    tilesLeftOut,
    labelledSpeakers,
    moves: moves.sort((a, b) => (a.corpus < b.corpus ? -1 : 1)),
    trainable: overview.trainable,
    newestTrainableAt: overview.newestTrainableAt,
    letters: deadLetters.total,
    byCode: deadLetters.byCode,
    open: deadLetters.open,
  };
}

describe('the overview', () => {
  it('agrees after every fact with an overview that scans all facts', () => {
    fc.assert(
      fc.property(fc.array(anyFact, { maxLength: 50 }), (facts) => {
        const [overview, naive] = [new PipelineOverview(), new NaiveOverview()];
        for (const fact of facts) {
          for (const each of [overview, naive]) apply(each, fact);
          expect(stateOf(overview)).toEqual(naive.state());
        }
      }),
      { numRuns: 500 },
    );
  });

  it('does not change when facts come twice', () => {
    fc.assert(
      fc.property(fc.array(anyFact, { maxLength: 40 }), (facts) => {
        const [once, twice] = [new PipelineOverview(), new PipelineOverview()];
        for (const fact of facts) {
          apply(once, fact);
          for (let time = 0; time < 2; time++) apply(twice, fact);
        }
        expect(stateOf(twice)).toEqual(stateOf(once));
      }),
      { numRuns: 200 },
    );
  });
});
