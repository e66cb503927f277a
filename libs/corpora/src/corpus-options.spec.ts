import { describe, expect, it } from 'vitest';
import { parseCorpusOptions } from './corpus-options.js';
import { cremaDReader } from './crema-d-reader.js';
import { manifestReader } from './manifest-reader.js';
import { ravdessReader } from './ravdess-reader.js';

const optionsOf = (json: string) => parseCorpusOptions('corpus.json', Buffer.from(json));
const wordsOf = (json: string) => optionsOf(json).labels;

describe("a corpus's own words for emotions", () => {
  it('may be any words, even names of object properties', () => {
    const words = wordsOf('{"labels": {" Furious ": "angry", "constructor": "sad", "__proto__": "happy", "excited": null}}');
    expect([...(words ?? [])]).toEqual([
      ['furious', 'angry'],
      ['constructor', 'sad'],
      ['__proto__', 'happy'],
      ['excited', null],
    ]);
  });

  it.each([
    '{"labels": {"furious": "rage"}}',
    '{"labels": ["furious"]}',
    '{"labels": null}',
    '{"labels": [["furious", "angry"]]}',
    '{"labels": "angry"}',
    '{"labels": {"a": {"b": "angry"}}}',
    '{"reader": "constructor"}',
    '[]',
    '{',
  ])('are refused, and other options, as %s', (json) =>
    expect(() => optionsOf(json)).toThrow(expect.objectContaining({ code: 'CORPUS_OPTIONS_INVALID' })),
  );

  it('give a word of a manifest a class, or take its class away', () => {
    const ownWords = wordsOf('{"labels": {"furious": "angry", "calm": "neutral", "excited": null, "constructor": "sad"}}');
    const csv = 'path,emotion\n1.wav,FURIOUS\n2.wav,calm\n3.wav,Excited\n4.wav,constructor\n5.wav,joy\n';
    const corpus = manifestReader.read(new Map([['manifest.csv', csv]]), { ownWords });
    expect([1, 2, 3, 4, 5].map((n) => corpus.annotationOf(`${n}.wav`).labels.category)).toEqual([
      'angry',
      'neutral',
      undefined,
      'sad',
      'happy',
    ]);
    expect(corpus.annotationOf('3.wav').noCategoryBecause).toBe('none of the four');
  });

  it('give a class to codes of other corpora', () => {
    const ownWords = wordsOf('{"labels": {"calm": "neutral", "disgust": "angry", "happy": null}}');
    const ravdess = ravdessReader.read(new Map(), { ownWords });
    expect(ravdess.annotationOf('Actor_12/03-01-02-01-02-01-12.wav').labels.category).toBe('neutral');
    expect(ravdess.annotationOf('Actor_12/03-01-03-01-02-01-12.wav')).toMatchObject({ noCategoryBecause: 'happy' });
    expect(cremaDReader.read(new Map(), { ownWords }).annotationOf('1001_DFA_DIS_XX.wav').labels.category).toBe('angry');
  });
});

it('corpus options need no words', () => {
  expect(optionsOf('{"reader": "iemocap", "silence": "ends", "extra": 1}')).toEqual({ reader: 'iemocap', silence: 'ends' });
  expect(optionsOf('{}')).toEqual({});
});

describe('the splits that an owner names', () => {
  const parse = (splits: unknown) => parseCorpusOptions('corpus.json', Buffer.from(JSON.stringify({ splits }))).splits;

  it('are read by speaker', () => {
    expect(parse({ dev: ['03', '11'], test: ['07'] })).toEqual(
      new Map([
        ['03', 'dev'],
        ['11', 'dev'],
        ['07', 'test'],
      ]),
    );
  });

  it('are refused if a speaker is in two of them, or if a split is unknown', () => {
    expect(() => parse({ dev: ['03'], test: ['03'] })).toThrow('speaker "03" is in dev and in test. Name each speaker once');
    expect(() => parse({ validation: ['03'] })).toThrow('validation');
  });
});
