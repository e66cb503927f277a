import { describe, expect, it } from 'vitest';
import { emotionCategories, type Stream } from '#contracts/labels.js';
import { freshShare, nextRoundState, Sampler } from './sampler.js';
import type { TrainingView, ViewUtterance } from '#index/training-index.js';

const utterance = (utteranceId: string, stream: Stream, changes: Partial<ViewUtterance> = {}): ViewUtterance => ({
  utteranceId,
  version: 'v',
  objectKey: utteranceId,
  stream,
  labels: stream === 'labelled' ? { category: 'sad' } : {},
  split: 'train',
  withheld: false,
  shardId: 's',
  shardObjectKey: 's',
  firstRow: 0,
  tileCount: 3,
  ...changes,
});
const view = (...utterances: ViewUtterance[]): TrainingView => ({ digest: 'd', settings: {}, settingsHash: 'h', tile: null, utterances });
const classOf = ({ labels }: ViewUtterance): number => emotionCategories.findIndex((name) => name === labels.category);
const names = (batch: ReturnType<Sampler['nextBatch']>): string[] =>
  batch.map(({ utterance: { utteranceId }, row }) => `${utteranceId}#${row}`);

describe('Sampler', () => {
  it('draws every tile once before any twice', () => {
    const sampler = new Sampler(view(utterance('a', 'labelled'), utterance('b', 'labelled', { firstRow: 3 })), { seed: 7, classOf });
    const pass = [1, 2, 3].flatMap(() => names(sampler.nextBatch({ labelled: 1, unlabelled: 1 })));
    expect([...pass].sort()).toEqual(['a#0', 'a#1', 'a#2', 'b#3', 'b#4', 'b#5']);
    const second = [1, 2, 3].flatMap(() => names(sampler.nextBatch({ labelled: 1, unlabelled: 1 })));
    expect([...second].sort()).toEqual([...pass].sort());
    expect(second).not.toEqual(pass);
  });

  it('never draws held-out or withheld audio', () => {
    const heldOut = [
      utterance('dev', 'labelled', { split: 'dev' }),
      utterance('test', 'unlabelled', { split: 'test' }),
      utterance('w', 'labelled', { withheld: true }),
    ];
    const sampler = new Sampler(view(utterance('a', 'labelled'), utterance('u', 'unlabelled'), ...heldOut), { seed: 1, classOf });
    const drawn = Array.from({ length: 30 }, () => names(sampler.nextBatch({ labelled: 2, unlabelled: 2 }))).flat();
    expect(new Set(drawn.map((name) => name.split('#')[0]))).toEqual(new Set(['a', 'u']));
    expect(new Set(names(sampler.spread(100, { labelled: 2, unlabelled: 2 })).map((name) => name.split('#')[0]))).toEqual(
      new Set(['a', 'u']),
    );
  });

  it('draws no unlabelled tiles if none are wanted', () => {
    const sampler = new Sampler(view(utterance('a', 'labelled'), utterance('u', 'unlabelled')), { seed: 1, classOf });
    expect(names(sampler.nextBatch({ labelled: 3, unlabelled: 0 })).sort()).toEqual(['a#0', 'a#1', 'a#2']);
  });

  it('spreads tiles for statistics over the streams of the batches, or over the other stream if those are empty', () => {
    const [labelled, unlabelled] = [utterance('a', 'labelled'), utterance('u', 'unlabelled')];
    const spreadOf = (data: TrainingView, wanted: Record<Stream, number>): string[] =>
      names(new Sampler(data, { seed: 1, classOf }).spread(9, wanted)).map((name) => name.charAt(0));
    expect(spreadOf(view(labelled, unlabelled), { labelled: 3, unlabelled: 0 })).toEqual(['a', 'a', 'a']);
    expect(spreadOf(view(labelled, unlabelled), { labelled: 2, unlabelled: 1 })).toEqual(['a', 'a', 'a', 'u', 'u', 'u']);
    expect(spreadOf(view(unlabelled), { labelled: 3, unlabelled: 0 })).toEqual(['u', 'u', 'u']);
  });

  it('continues from a saved state', () => {
    const data = view(
      ...Array.from({ length: 20 }, (_, i) => utterance(`l${i}`, 'labelled')),
      ...Array.from({ length: 9 }, (_, i) => utterance(`u${i}`, 'unlabelled')),
    );
    const wanted = { labelled: 5, unlabelled: 4 };
    const whole = new Sampler(data, { seed: 3, classOf });
    const expected = Array.from({ length: 40 }, () => names(whole.nextBatch(wanted)));
    const first = new Sampler(data, { seed: 3, classOf });
    const before = Array.from({ length: 17 }, () => names(first.nextBatch(wanted)));
    const resumed = new Sampler(data, { seed: 3, classOf, state: first.state });
    const after = Array.from({ length: 23 }, () => names(resumed.nextBatch(wanted)));
    expect([...before, ...after]).toEqual(expected);
  });

  it('balanced, draws the classes in turn, repeats rare ones, and resumes exactly', () => {
    const data = view(
      ...Array.from({ length: 9 }, (_, i) => utterance(`n${i}`, 'labelled', { labels: { category: 'neutral' } })),
      utterance('s', 'labelled', { labels: { category: 'sad' } }),
      utterance('u', 'unlabelled'),
    );
    const sampler = new Sampler(data, { seed: 2, classOf, balanced: true });
    expect(sampler.tilesOfClass(4)).toEqual([0, 0, 27, 3]);
    const batches = Array.from({ length: 15 }, () => sampler.nextBatch({ labelled: 4, unlabelled: 1 }));
    for (const batch of batches) {
      expect(batch.map(({ utterance }) => utterance.labels.category ?? '').sort()).toEqual(['', 'neutral', 'neutral', 'sad', 'sad']);
    }
    // Fifteen of the 27 neutral tiles in each of two passes; the second pass has others.
    const neutral = new Set(names(batches.flat().filter(({ utterance }) => utterance.labels.category === 'neutral')));
    expect(neutral.size).toBeGreaterThan(15);
    const first = new Sampler(data, { seed: 2, classOf, balanced: true });
    const before = [1, 2, 3, 4].map(() => first.nextBatch({ labelled: 4, unlabelled: 1 }));
    const resumed = new Sampler(data, { seed: 2, classOf, balanced: true, state: first.state });
    expect([...before, resumed.nextBatch({ labelled: 4, unlabelled: 1 })].map(names)).toEqual(batches.slice(0, 5).map(names));
  });

  it('fills the batch from one stream if the other is empty', () => {
    expect(new Sampler(view(utterance('u', 'unlabelled')), { seed: 1, classOf }).nextBatch({ labelled: 2, unlabelled: 2 })).toHaveLength(4);
    expect(new Sampler(view(), { seed: 1, classOf }).nextBatch({ labelled: 2, unlabelled: 2 })).toEqual([]);
  });
});

describe('fresh and replayed tiles', () => {
  const corpus = (fresh: number, replayed: number): TrainingView =>
    view(
      ...Array.from({ length: fresh }, (_, i) => utterance(`fresh-${i}`, 'labelled', { tileCount: 1 })),
      ...Array.from({ length: replayed }, (_, i) => utterance(`old-${i}`, 'labelled', { tileCount: 1 })),
    );
  const options = { seed: 2, classOf, isFresh: ({ utteranceId }: ViewUtterance) => utteranceId.startsWith('fresh') };
  const freshOf = (drawn: string[]): number => drawn.filter((name) => name.startsWith('fresh')).length;

  it('are drawn in the ratio of the replay share, spread evenly over the batches', () => {
    const sampler = new Sampler(corpus(30, 60), { ...options, replayShare: 0.75 });
    for (let batch = 0; batch < 20; batch++) expect(freshOf(names(sampler.nextBatch({ labelled: 8, unlabelled: 0 })))).toBe(2);
    expect(sampler.freshSizeOf('labelled')).toBe(30);
    expect(sampler.sizeOf('labelled')).toBe(90);
  });

  it('bound how often two fresh or two old tiles repeat, whatever the replay share', () => {
    expect(freshShare({ fresh: 2, replayed: 1000 }, 0.5)).toBeCloseTo(16 / 1016);
    expect(freshShare({ fresh: 1000, replayed: 2 }, 0.5)).toBeCloseTo(1000 / 1016);
    expect(freshShare({ fresh: 100, replayed: 100 }, 0.5)).toBe(0.5);
    expect(freshShare({ fresh: 0, replayed: 9 }, 0.5)).toBe(0);
    expect(freshShare({ fresh: 9, replayed: 0 }, 1)).toBe(1);
  });

  it('are each drawn once before any of their kind twice, and a resumed run draws the same', () => {
    const whole = new Sampler(corpus(10, 20), { ...options, replayShare: 0.5 });
    const first = Array.from({ length: 5 }, () => names(whole.nextBatch({ labelled: 4, unlabelled: 0 }))).flat();
    expect(new Set(first.filter((name) => name.startsWith('fresh'))).size).toBe(10);
    expect(new Set(first.filter((name) => name.startsWith('old'))).size).toBe(10);
    const resumed = new Sampler(corpus(10, 20), { ...options, replayShare: 0.5, state: whole.state });
    const rest = (sampler: Sampler): string[][] =>
      Array.from({ length: 9 }, () => names(sampler.nextBatch({ labelled: 3, unlabelled: 0 })));
    expect(rest(resumed)).toEqual(rest(whole));
  });

  it('are shuffled again in another round', () => {
    const sampler = new Sampler(corpus(0, 20), options);
    const drawn = names(sampler.nextBatch({ labelled: 20, unlabelled: 0 }));
    const next = new Sampler(corpus(0, 20), { ...options, state: nextRoundState(sampler.state) });
    const again = names(next.nextBatch({ labelled: 20, unlabelled: 0 }));
    expect(again).not.toEqual(drawn);
    expect(again.toSorted()).toEqual(drawn.toSorted());
  });
});

describe('erasure', () => {
  const data = view(utterance('a', 'labelled'), utterance('b', 'labelled'), utterance('u', 'unlabelled'));

  it('takes effect from the next draw on, and the rest fills the batch', () => {
    const sampler = new Sampler(data, { seed: 1, classOf });
    sampler.nextBatch({ labelled: 1, unlabelled: 1 });
    sampler.erase(['a', 'u']);
    const drawn = Array.from({ length: 12 }, () => names(sampler.nextBatch({ labelled: 2, unlabelled: 2 }))).flat();
    expect(new Set(drawn)).toEqual(new Set(['b#0', 'b#1', 'b#2']));
    expect(drawn).toHaveLength(48);
    expect(sampler.sizeOf('unlabelled')).toBe(0);
    expect(names(sampler.spread(9, { labelled: 1, unlabelled: 1 })).toSorted()).toEqual(['b#0', 'b#1', 'b#2']);
  });

  it('of everything leaves nothing to draw', () => {
    const sampler = new Sampler(data, { seed: 1, classOf });
    sampler.erase(['a', 'b', 'u']);
    expect(sampler.nextBatch({ labelled: 2, unlabelled: 2 })).toEqual([]);
  });
});
