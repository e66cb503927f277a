import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isAudioPath } from './audio-paths.js';
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

describe('the classes that a corpus names', () => {
  const optionsWith = (options: object) => parseCorpusOptions('corpus.json', Buffer.from(JSON.stringify(options)));
  const eight = ['neutral', 'calm', 'happy', 'sad', 'angry', 'fearful', 'disgust', 'surprised'];

  it('give all eight emotions of RAVDESS a label', () => {
    const { labels, classes } = optionsWith({ classes: eight });
    const read = ravdessReader.read(new Map(), { ownWords: labels, classes });
    const categories = ['01', '02', '03', '04', '05', '06', '07', '08'].map(
      (code) => read.annotationOf(`Actor_01/03-01-${code}-01-01-01-01.wav`).labels.category,
    );
    expect(categories).toEqual(eight);
  });

  it('take words that mean the same, and words that the corpus maps; all other words have no class', () => {
    const options = optionsWith({ classes: ['frustrated', 'Satisfied', 'anger'], labels: { fed_up: 'frustrated', pleased: 'satisfied' } });
    const emotions = ['frustration', 'fed_up', 'pleased', 'satisfied', 'mad', 'angry', 'happy', 'neutral', 'bored'];
    const manifest = `path,emotion\n${emotions.map((emotion, n) => `${n}.wav,${emotion}`).join('\n')}\n`;
    const annotations = manifestReader.read(new Map([['manifest.csv', manifest]]), { ownWords: options.labels, classes: options.classes });
    const categories = emotions.map((_, n) => annotations.annotationOf(`${n}.wav`).labels.category);
    expect(categories).toEqual(['frustrated', 'frustrated', 'satisfied', 'satisfied', 'anger', 'anger', undefined, undefined, undefined]);
    expect(annotations.annotationOf('8.wav').noCategoryBecause).toBe('none of the classes frustrated, satisfied, anger');
    expect(annotations.remarks).toHaveProperty(['emotion bored is not one of the classes frustrated, satisfied, anger'], 1);
  });

  it('are the paper’s four unless the corpus names others', () => {
    const { labels } = optionsWith({});
    expect(
      ravdessReader.read(new Map(), { ownWords: labels }).annotationOf('Actor_01/03-01-02-01-01-01-01.wav').labels.category,
    ).toBeUndefined();
  });

  it.each([
    [{ classes: ['calm'] }, /classes/],
    [{ classes: ['calm', 'Calm '] }, /names a class twice/],
    [{ classes: ['calm', ''] }, /classes/],
    [{ classes: ['calm', 'tense'], labels: { cross: 'angry' } }, /labels\.cross: "angry" is not one of the classes calm, tense/],
    [{ labels: { cross: 'frustrated' } }, /"frustrated" is not one of the classes angry, happy, neutral, sad/],
  ])('are refused as %j', (options, message) => {
    expect(() => optionsWith(options)).toThrow(
      expect.objectContaining({ code: 'CORPUS_OPTIONS_INVALID', message: expect.stringMatching(message) }),
    );
  });
});

const corpora = process.env['UNDERTONE_CORPORA'];
if (!corpora) console.warn('UNDERTONE_CORPORA is not set: no test reads the names of real recordings.');
describe.skipIf(!corpora)('the files of RAVDESS (UNDERTONE_CORPORA)', () => {
  it('all have one of eight classes, and every class occurs', () => {
    const files = readdirSync(join(corpora ?? '', 'ravdess'), { recursive: true, encoding: 'utf8' }).filter((path) => isAudioPath(path));
    const { labels, classes } = parseCorpusOptions(
      'corpus.json',
      Buffer.from('{"classes": ["neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise"]}'),
    );
    const read = ravdessReader.read(new Map(), { ownWords: labels, classes });
    const categories = files.map((path) => read.annotationOf(path).labels.category);
    expect(files.length).toBeGreaterThan(1_000);
    expect(categories).not.toContain(undefined);
    expect([...new Set(categories)].sort()).toEqual([...(classes ?? [])].sort());
  });
});
