import { expect, it } from 'vitest';
import { iemocapReader } from './iemocap-reader.js';
import { carriedEdges, levelOf } from './levels.js';
import { mspImprovReader } from './msp-improv-reader.js';

it.each([
  [1, 0],
  [2, 0],
  [2.0001, 1],
  [3.5, 1],
  [3.5001, 2],
  [5, 2],
])('IEMOCAP: %f is level %i', (value, level) => expect(levelOf(value, 'iemocap')).toBe(level));

it.each([
  [1, 0],
  [2.5, 0],
  [2.5001, 1],
  [3.5, 1],
  [3.5001, 2],
  [5, 2],
])('MSP-IMPROV: %f is level %i', (value, level) => expect(levelOf(value, 'msp-improv')).toBe(level));

it('recognises MSP-IMPROV in any spelling of its name', () =>
  expect(['MSP_IMPROV', 'mspimprov', 'my-msp-improv-2'].map((corpus) => levelOf(2.2, corpus))).toEqual([0, 0, 0]));

it('cuts a corpus that the paper does not name at the edges of IEMOCAP, or at given ones', () => {
  expect(levelOf(2.2, 'recordings')).toBe(1);
  expect(levelOf(2.2, 'recordings', { given: { recordings: [2.4, 4], other: [1, 2] } })).toBe(0);
  expect(levelOf(2.2, 'constructor', { given: { recordings: [2.4, 4] } })).toBe(1);
});

it('uses the edges of the reader whatever the corpus is called', () => {
  const levelIn = (corpus: string, reader: typeof iemocapReader) => levelOf(2.2, corpus, { carried: carriedEdges(corpus, reader.levels) });
  expect(['msp-improv', 'improv', 'iemocap'].map((corpus) => levelIn(corpus, mspImprovReader))).toEqual([0, 0, 0]);
  expect(['msp-improv', 'improv', 'iemocap'].map((corpus) => levelIn(corpus, iemocapReader))).toEqual([1, 1, 1]);
});

it('adds edges only if the name gives other ones, so that correct records keep their version', () => {
  expect(carriedEdges('msp-improv', mspImprovReader.levels)).toBeUndefined();
  expect(carriedEdges('iemocap', iemocapReader.levels)).toBeUndefined();
  expect(carriedEdges('improv', mspImprovReader.levels)).toEqual([2.5, 3.5]);
  expect(carriedEdges('recordings', undefined)).toBeUndefined();
});

it('prefers the edges in the settings of a run', () => {
  expect(levelOf(2.2, 'improv', { carried: [2.5, 3.5], given: { improv: [1, 2] } })).toBe(2);
});
