import { expect, test } from 'vitest';
import { RoundView } from './round-view.js';
import type { TrainingView, ViewUtterance } from './training-index.js';
import { WaitingTraces } from './waiting-traces.js';

const named = (utteranceId: string, version = 'v1') => ({ utteranceId, version });
const roundOf = (...utterances: ReturnType<typeof named>[]): RoundView =>
  new RoundView({ utterances: utterances as ViewUtterance[] } as TrainingView);

test('a round gets the traces of the versions that it has, and only of those that are sampled', () => {
  const traces = new WaitingTraces();
  traces.note([named('a'), named('b'), named('c'), named('d', 'v2')], ['ta', undefined, 'tc', 'td']);
  expect([...traces.of(roundOf(named('a'), named('b'), named('d', 'v1'), named('e')))]).toEqual([['a', 'ta']]);
  expect(traces.size).toBe(3);
});

test('a later shard of an utterance replaces its trace; headers that name fewer or more than the fact do no harm', () => {
  const traces = new WaitingTraces();
  traces.note([named('a', 'v1'), named('b')], ['old']);
  traces.note([named('a', 'v2')], ['new', 'of nobody']);
  traces.note([named('a', 'v2')], []);
  expect(traces.contents).toEqual([['a', 'v2', 'new']]);
});

test('beyond its bound the oldest are forgotten', () => {
  const traces = new WaitingTraces(2);
  for (const id of ['a', 'b', 'a', 'c']) traces.note([named(id)], [`t${id}`]);
  expect(traces.contents.map(([id]) => id)).toEqual(['a', 'c']);
});

test('what is written is restored', () => {
  const traces = new WaitingTraces();
  traces.note([named('a'), named('b')], ['ta', 'tb']);
  traces.forget('b');
  const restored = new WaitingTraces();
  restored.restore(traces.contents);
  expect(restored.contents).toEqual([['a', 'v1', 'ta']]);
});
