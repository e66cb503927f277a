import { describe, expect, it } from 'vitest';
import { emotionCategories, type Stream } from '#contracts/labels.js';
import { Sampler } from './sampler.js';
import type { TrainingView, ViewUtterance } from './training-index.js';

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
const view = (...utterances: ViewUtterance[]): TrainingView => ({ digest: 'd', settingsHash: 'h', utterances });
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
    expect(new Set(names(sampler.spread(100)).map((name) => name.split('#')[0]))).toEqual(new Set(['a', 'u']));
  });

  it('draws no unlabelled tiles where none are wanted', () => {
    const sampler = new Sampler(view(utterance('a', 'labelled'), utterance('u', 'unlabelled')), { seed: 1, classOf });
    expect(names(sampler.nextBatch({ labelled: 3, unlabelled: 0 })).sort()).toEqual(['a#0', 'a#1', 'a#2']);
  });

  it('goes on where it was', () => {
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

  it('balanced, gives every class its turn in each pass, the rare one again and again, and all of it resumes', () => {
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
    // Fifteen of the 27 neutral tiles in each of two passes, others in the second.
    const neutral = new Set(names(batches.flat().filter(({ utterance }) => utterance.labels.category === 'neutral')));
    expect(neutral.size).toBeGreaterThan(15);
    const first = new Sampler(data, { seed: 2, classOf, balanced: true });
    const before = [1, 2, 3, 4].map(() => first.nextBatch({ labelled: 4, unlabelled: 1 }));
    const resumed = new Sampler(data, { seed: 2, classOf, balanced: true, state: first.state });
    expect([...before, resumed.nextBatch({ labelled: 4, unlabelled: 1 })].map(names)).toEqual(batches.slice(0, 5).map(names));
  });

  it('fills the batch from one stream where the other is empty', () => {
    expect(new Sampler(view(utterance('u', 'unlabelled')), { seed: 1, classOf }).nextBatch({ labelled: 2, unlabelled: 2 })).toHaveLength(4);
    expect(new Sampler(view(), { seed: 1, classOf }).nextBatch({ labelled: 2, unlabelled: 2 })).toEqual([]);
  });
});
