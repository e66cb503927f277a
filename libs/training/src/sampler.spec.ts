import { describe, expect, it } from 'vitest';
import type { Stream } from '#contracts/labels.js';
import { Sampler } from './sampler.js';
import type { TrainingView, ViewUtterance } from './training-index.js';

const utterance = (utteranceId: string, stream: Stream, changes: Partial<ViewUtterance> = {}): ViewUtterance => ({
  utteranceId,
  version: 'v',
  objectKey: utteranceId,
  stream,
  labels: {},
  split: 'train',
  withheld: false,
  shardId: 's',
  shardObjectKey: 's',
  firstRow: 0,
  tileCount: 3,
  ...changes,
});
const view = (...utterances: ViewUtterance[]): TrainingView => ({ digest: 'd', settingsHash: 'h', utterances });
const names = (batch: ReturnType<Sampler['nextBatch']>): string[] =>
  batch.map(({ utterance: { utteranceId }, row }) => `${utteranceId}#${row}`);

describe('Sampler', () => {
  it('draws every tile once before any twice', () => {
    const sampler = new Sampler(view(utterance('a', 'labelled'), utterance('b', 'labelled', { firstRow: 3 })), 7);
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
    const sampler = new Sampler(view(utterance('a', 'labelled'), utterance('u', 'unlabelled'), ...heldOut), 1);
    const drawn = Array.from({ length: 30 }, () => names(sampler.nextBatch({ labelled: 2, unlabelled: 2 }))).flat();
    expect(new Set(drawn.map((name) => name.split('#')[0]))).toEqual(new Set(['a', 'u']));
    expect(new Set(names(sampler.spread(100)).map((name) => name.split('#')[0]))).toEqual(new Set(['a', 'u']));
  });

  it('goes on where it was', () => {
    const data = view(
      ...Array.from({ length: 20 }, (_, i) => utterance(`l${i}`, 'labelled')),
      ...Array.from({ length: 9 }, (_, i) => utterance(`u${i}`, 'unlabelled')),
    );
    const wanted = { labelled: 5, unlabelled: 4 };
    const whole = new Sampler(data, 3);
    const expected = Array.from({ length: 40 }, () => names(whole.nextBatch(wanted)));
    const first = new Sampler(data, 3);
    const before = Array.from({ length: 17 }, () => names(first.nextBatch(wanted)));
    const resumed = new Sampler(data, 3, first.state);
    const after = Array.from({ length: 23 }, () => names(resumed.nextBatch(wanted)));
    expect([...before, ...after]).toEqual(expected);
  });

  it('fills the batch from one stream where the other is empty', () => {
    expect(new Sampler(view(utterance('u', 'unlabelled')), 1).nextBatch({ labelled: 2, unlabelled: 2 })).toHaveLength(4);
    expect(new Sampler(view(), 1).nextBatch({ labelled: 2, unlabelled: 2 })).toEqual([]);
  });
});
