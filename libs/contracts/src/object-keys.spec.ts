import { describe, expect, it } from 'vitest';
import { checkpointPrefix, corpusKey, isUsableKey, parseCorpusKey, predictionsKey, refuseBadKey, runPrefix } from './object-keys.js';

describe('the key of a recording', () => {
  it.each([
    ['acted', 'audio/f01/f01-angry-01.flac'],
    ['found sounds', 'Interview ü #1/part%2F1+2.ogg'],
    ['a', 'b'],
    ['a', 'corpora/a/b'],
    ['a', '/begins and ends with a slash/'],
    ['a', 'two\nlines'],
  ])('in corpus %j and path %j parses into the same corpus and path', (corpus, path) => {
    expect(parseCorpusKey(corpusKey(corpus, path))).toEqual({ corpus, path });
  });

  it.each(['', 'corpora', 'corpora/', 'corpora/a', 'corpora/a/', 'corpora//b', 'shards/a/b', 'x/corpora/a/b', 'Corpora/a/b'])(
    'is not %j',
    (key) => {
      expect(parseCorpusKey(key)).toBeNull();
    },
  );
});

describe('the keys of a run', () => {
  it('sort by step, so that the last listed checkpoint is the newest', () => {
    const steps = [1_000_000, 9, 100, 20];
    const inOrder = steps.toSorted((a, b) => a - b);
    expect(steps.map((step) => checkpointPrefix('main', step)).sort()).toEqual(inOrder.map((step) => checkpointPrefix('main', step)));
    const predictionsOf = (step: number): string => predictionsKey({ runId: 'main', step, task: 'emotion', sha256: 'f'.repeat(64) });
    expect(steps.map(predictionsOf).sort()).toEqual(inOrder.map(predictionsOf));
  });

  it('never match the prefix of a run with a similar name', () => {
    expect(checkpointPrefix('main-2', 1).startsWith(runPrefix('main'))).toBe(false);
  });
});

describe('a key from outside', () => {
  it.each([
    'corpora/a/b.wav',
    'corpora/found sounds/Interview ü #1/part%2F1+2.ogg',
    'corpora/a/.hidden/...wav',
    'corpora/a/😀.wav',
    'corpora/a/',
    'x'.repeat(1_024),
    'ü'.repeat(512),
  ])('is usable: %j', (key) => {
    expect(isUsableKey(key)).toBe(true);
    expect(() => refuseBadKey(key)).not.toThrow();
  });

  it.each([
    ['', 'empty'],
    ['/', 'empty'],
    ['/corpora/a/b.wav', 'empty'],
    ['corpora//b.wav', 'empty'],
    ['corpora/a//', 'empty'],
    ['.', 'segment "."'],
    ['..', 'segment ".."'],
    ['corpora/./b.wav', 'segment "."'],
    ['corpora/../models/b', 'segment ".."'],
    ['corpora/a/..', 'segment ".."'],
    ['corpora/a/../', 'segment ".."'],
    ['corpora/a/b\u0000.wav', 'control character'],
    ['corpora/a/two\nlines', 'control character'],
    ['corpora/a/\u0085', 'control character'],
    ['corpora/a/\ud800.wav', 'surrogate'],
    ['corpora/a/\udc00\ud800', 'surrogate'],
    ['x'.repeat(1_025), '1025 UTF-8 bytes'],
    ['ü'.repeat(513), '1026 UTF-8 bytes'],
  ])('is refused: %j, because of "%s"', (key, reason) => {
    expect(isUsableKey(key)).toBe(false);
    expect(() => refuseBadKey(key)).toThrow(reason);
    expect(() => refuseBadKey(key)).toThrow(expect.objectContaining({ code: 'OBJECT_KEY_INVALID' }));
  });
});
