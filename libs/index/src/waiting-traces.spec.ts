import { expect, test } from 'vitest';
import { indexOf, linesOf } from './index-contents.js';
import { RoundView } from '#rounds/round-view.js';
import { TrainingIndex, type TrainingView, type ViewUtterance } from './training-index.js';
import { WaitingTraces } from './waiting-traces.js';

const named = (utteranceId: string, version = 'v1') => ({ utteranceId, version });
const roundOf = (...utterances: ReturnType<typeof named>[]): RoundView =>
  new RoundView({ utterances: utterances as ViewUtterance[] } as TrainingView);

test('a round gets the sampled traces of its own versions', () => {
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

test('they outlive a restart with the index, end with an erased utterance, and are missing from what was written before there were any', () => {
  const index = new TrainingIndex();
  index.traces.note([named('a'), named('b')], ['ta', 'tb']);
  index.applyUtterance('b', null);
  const lines = linesOf(index);
  expect(indexOf(lines).traces.contents).toEqual([['a', 'v1', 'ta']]);
  const { traces: _, ...older } = JSON.parse(lines.pop() ?? '') as Record<string, unknown>;
  expect(indexOf([...lines, JSON.stringify(older)]).traces.size).toBe(0);
});
