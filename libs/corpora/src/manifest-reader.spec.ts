import { describe, expect, it } from 'vitest';
import { manifestReader } from './manifest-reader.js';

const read = (csv: string) => manifestReader.read(new Map([['manifest.csv', csv]]));

describe('manifest reader', () => {
  it('reads all columns and leaves out empty cells', () => {
    const corpus = read('path,speaker,gender,emotion,activation,valence,session,split\na.wav,s1,female,sad,1.5,2,3,test\nb.wav,,,,,,,\n');
    expect(corpus.annotationOf('a.wav')).toEqual({
      labels: { speakerId: 's1', gender: 'female', category: 'sad', activation: 1.5, valence: 2, session: '3' },
      split: 'test',
    });
    expect(corpus.annotationOf('b.wav').labels).toEqual({});
  });

  it('treats audio without a row as unlabelled', () => {
    expect(read('path\na.wav\n').annotationOf('other.wav')).toEqual({ labels: {} });
  });

  it('merges excited into happy and counts emotions without a class', () => {
    const corpus = read('path,emotion\na.wav,Excited\nb.wav,disgust\n');
    expect(corpus.annotationOf('a.wav').labels.category).toBe('happy');
    expect(corpus.annotationOf('b.wav').labels.category).toBeUndefined();
    expect(corpus.remarks).toEqual({ 'emotion disgust is not one of the four': 1 });
  });

  it('never guesses a split: a wrong split is an error of that utterance alone', () => {
    const corpus = read('path,split\na.wav,tset\nb.wav,dev\n');
    expect(() => corpus.annotationOf('a.wav')).toThrow(/row 1.*tset/);
    expect(corpus.annotationOf('b.wav').split).toBe('dev');
  });

  it('refuses a whole manifest without paths or with a duplicate path', () => {
    expect(() => read('file,emotion\na.wav,sad\n')).toThrow(/no path/);
    expect(() => read('path\na.wav\na.wav\n')).toThrow(/twice/);
  });

  it('reports a row with too many values as an error of its own recording alone', () => {
    const corpus = read('path,emotion\na.wav,sad,surplus\nb.wav,angry\n');
    expect(() => corpus.annotationOf('a.wav')).toThrow(/row 1.*more values than columns/);
    expect(corpus.annotationOf('b.wav').labels.category).toBe('angry');
  });

  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])('treats the word %s like any other word in every column', (word) => {
    const corpus = read(`path,speaker,emotion,${word}\na.wav,${word},${word},${word}\n`);
    expect(corpus.annotationOf('a.wav').labels).toMatchObject({ speakerId: word, category: undefined });
    expect(corpus.remarks).toHaveProperty([`emotion ${word.toLowerCase()} is not one of the four`], 1);
    expect(() => read(`path,gender\na.wav,${word}\n`).annotationOf('a.wav')).toThrow(/gender.*is not one of/);
  });

  it.each([
    ['null', /line 2: .*is not an object/],
    ['[{"path":"b.wav"}]', /line 2: .*is not an object/],
    ['7', /line 2: .*is not an object/],
    ['{"path":"b.wav"', /line 2 is not JSON/],
    ['['.repeat(200_000), /line 2 .*deep/],
  ])('names the line of JSON lines that is %.20s', (line, message) => {
    const text = `{"path":"a.wav"}\n${line}\n`;
    expect(() => manifestReader.read(new Map([['manifest.jsonl', text]]))).toThrow(message);
  });

  it('reports a nested value as an error of its own recording alone', () => {
    const lines = manifestReader.read(new Map([['manifest.jsonl', '{"path":"a.wav","speaker":{"toString":1}}\n{"path":"b.wav"}\n']]));
    expect(() => lines.annotationOf('a.wav')).toThrow(/line 1.*speaker/);
    expect(lines.annotationOf('b.wav').labels).toEqual({});
  });

  it('accepts a byte order mark, quotes and JSON lines', () => {
    expect(read('\uFEFFPath,Emotion\n"a, b.wav",angry\n').annotationOf('a, b.wav').labels.category).toBe('angry');
    const lines = manifestReader.read(new Map([['manifest.jsonl', '{"path":"a.wav","speaker":7}\n']]));
    expect(lines.annotationOf('a.wav').labels.speakerId).toBe('7');
  });
});
