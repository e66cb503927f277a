/** Manifests in the form in which common programs write them. */
import { describe, expect, it } from 'vitest';
import { manifestReader } from './manifest-reader.js';
import { readAnnotations, rowWarnings } from './read-annotations.js';

const csv = (text: string) => manifestReader.read(new Map([['manifest.csv', text]]));
const jsonl = (text: string) => manifestReader.read(new Map([['manifest.jsonl', text]]));
const labelled = { speakerId: 's0', gender: undefined, category: 'happy', activation: undefined, valence: undefined, session: undefined };

describe('a CSV manifest is read', () => {
  it.each([
    ['with semicolons', 'path;speaker;emotion\na.wav;s0;happy\n'],
    ['with tabs', 'path\tspeaker\temotion\na.wav\ts0\thappy\n'],
    ["with Excel's line that names the separator", 'sep=;\r\npath;speaker;emotion\r\na.wav;s0;happy\r\n'],
    ['with the index that pandas writes', ',path,speaker,emotion\n0,a.wav,s0,happy\n'],
    ['with a trailing comma after each row', 'path,speaker,emotion,\na.wav,s0,happy,\n'],
    ['with trailing commas after rows alone', 'path,speaker,emotion\na.wav,s0,happy,,\n'],
    ['with rows of commas alone', 'path,speaker,emotion\n,,\na.wav,s0,happy\n,,\n'],
    ['with line endings of Windows', 'path,speaker,emotion\r\na.wav,s0,happy\r\n'],
    ['with line endings of old Macs', 'path,speaker,emotion\ra.wav,s0,happy\r'],
    ['with mixed line endings', 'path,speaker,emotion\r\na.wav,s0,happy\nb.wav,s1,sad\r\n'],
    ['with quotes around all', '"path","speaker","emotion"\n"a.wav","s0","happy"\n'],
    ['with spaces, and NaN where there is no value', 'path , speaker , emotion , activation , gender\na.wav , s0 , happy , nan , NaN\n'],
  ])('%s', (_how, text) => {
    expect(csv(text).annotationOf('a.wav')).toEqual({ labels: labelled, split: undefined });
  });

  it('with bare quotes in an unquoted cell', () => {
    expect(csv('path,emotion\naudio/say "hi".wav,happy\n').annotationOf('audio/say "hi".wav').labels.category).toBe('happy');
  });

  it('with decimal commas if the delimiter is not a comma', () => {
    expect(csv('path;activation;valence\na.wav;3,5;2\n').annotationOf('a.wav').labels).toMatchObject({ activation: 3.5, valence: 2 });
    expect(() => csv('path,activation\na.wav,"3,5"\n').annotationOf('a.wav')).toThrow(
      /row 1: activation "3,5" is not a number from 1 to 5/,
    );
  });

  it('with speakers that pandas turned into numbers, unchanged', () => {
    expect(csv('path,speaker\na.wav,1.0\n').annotationOf('a.wav').labels.speakerId).toBe('1.0');
  });
});

describe('a CSV manifest is refused', () => {
  it.each([
    ['with the columns that it has instead of path', 'file;emotion\na.wav;sad\n', /no path column.*"file;emotion"/],
    ['with two columns of one name', 'path,emotion,Emotion\na.wav,sad,angry\n', /two columns named "emotion"/],
    ['with a quote that nobody closes', 'path,emotion\n"a.wav,sad\n', /cannot be read as CSV/],
    ['empty', '', /no path column.*none/],
  ])('%s', (_how, text, message) => {
    expect(() => csv(text)).toThrow(message);
    expect(() => csv(text)).toThrow(expect.objectContaining({ code: 'MANIFEST_INVALID' }));
  });
});

describe('a JSON manifest', () => {
  const rows = [
    { path: 'a.wav', speaker: 's0', emotion: 'happy' },
    { path: 'b.wav', speaker: 's1', emotion: 'sad' },
  ];

  it('is read both as lines and as one array', () => {
    const lines = rows.map((row) => JSON.stringify(row)).join('\r\n');
    for (const text of [lines, JSON.stringify(rows), JSON.stringify(rows, null, 2)]) {
      expect(jsonl(text).annotationOf('a.wav').labels).toEqual(labelled);
      expect(jsonl(text).annotationOf('b.wav').labels.category).toBe('sad');
    }
  });

  it("is read with Python's NaN as no value, and keeps the word NaN inside a text", () => {
    const corpus = jsonl('{"path":"NaN \\" NaN.wav","speaker":"NaN","emotion":"happy","activation":NaN}');
    expect(corpus.annotationOf('NaN " NaN.wav').labels).toEqual({ ...labelled, speakerId: undefined });
  });

  it.each(['null', '1', '"a.wav"', 'true', '{"path":', '{"path":Infinity}', '['.repeat(200)])('is refused with the line of %s', (line) => {
    const text = `${JSON.stringify(rows[0])}\n\n${line}\n`;
    expect(() => jsonl(text)).toThrow(/^manifest\.jsonl, line 3(?:: (?:null|1|"a\.wav"|true) is not an object| )/);
    expect(() => jsonl(text)).toThrow(expect.objectContaining({ code: 'MANIFEST_INVALID' }));
  });

  it.each(['[null]', '[[]]', '[1]'])('is refused with the row in %s', (text) => {
    expect(() => jsonl(text)).toThrow(/^manifest\.jsonl, row 1: .* is not an object/);
  });

  it('reports an object in place of a word as an error of its own recording alone', () => {
    const corpus = jsonl('{"path":"a.wav","speaker":{"id":1}}\n{"path":"b.wav","emotion":["sad"]}\n{"path":"c.wav","emotion":"sad"}');
    expect(() => corpus.annotationOf('a.wav')).toThrow(/line 1: speaker is .* must be a word or a number/);
    expect(() => corpus.annotationOf('b.wav')).toThrow(/line 2: emotion/);
    expect(corpus.annotationOf('c.wav').labels.category).toBe('sad');
  });
});

describe('names that every JavaScript object has', () => {
  it.each(['constructor', '__proto__', 'toString'])('%s is a word like any other', (name) => {
    const corpus = csv(`path,emotion,speaker,${name}\n${name},${name},${name},x\n`);
    expect(corpus.annotationOf(name)).toMatchObject({
      labels: { speakerId: name, category: undefined },
      noCategoryBecause: 'none of the four',
    });
    expect(corpus.annotationOf('toLocaleString')).toEqual({ labels: {} });
    expect(Object.entries(corpus.remarks)).toContainEqual([`emotion ${name.toLowerCase()} is not one of the four`, 1]);
    expect(() => csv(`path,gender\na.wav,${name}\n`).annotationOf('a.wav')).toThrow(/gender ".*" is not one of female, male/);
  });
});

it('maps everyday words to the four emotions, counts others by word, and counts further words together', () => {
  const words = ['Joy', 'joyful', 'Excitement', 'HAPPINESS', 'Anger', 'mad', 'Sadness', ' neu ', 'calm', 'Trauer', 'H', '0', 'enthusiasm'];
  const corpus = csv(`path,emotion\n${words.map((word, index) => `${index}.wav,${word}\n`).join('')}`);
  expect(words.map((_word, index) => corpus.annotationOf(`${index}.wav`).labels.category)).toEqual([
    ...['happy', 'happy', 'happy', 'happy', 'angry', 'angry', 'sad', 'neutral'],
    ...Array.from({ length: 5 }, () => undefined),
  ]);
  expect(corpus.remarks).toMatchObject({ 'emotion trauer is not one of the four': 1, 'emotion calm is not one of the four': 1 });
  const many = csv(`path,emotion\n${Array.from({ length: 500 }, (_, index) => `${index}.wav,word${index}\n`).join('')}`);
  expect(Object.keys(many.remarks)).toHaveLength(21);
  expect(many.remarks['other remarks']).toBe(480);
});

it('warns with counts, the first rows and the guessed path', () => {
  const text = 'path,emotion\nZ\u00fcrich.wav,sad\nB.wav,sad\n1.wav,sad\n2.wav,sad\n3.wav,sad\n4.wav,sad\n';
  const corpus = readAnnotations(manifestReader, new Map([['manifest.csv', Buffer.from(text, 'latin1')]]), {});
  corpus.rows?.know(['Zürich.wav', 'b.wav']);
  expect(corpus.warnings).toEqual([expect.stringContaining('read as Windows-1252')]);
  expect(rowWarnings(corpus)).toEqual([
    '4 of 6 rows match no recording, so their labels are not used: manifest.csv, row 3: "1.wav", manifest.csv, row 4: "2.wav", manifest.csv, row 5: "3.wav", …',
    '1 of 6 rows spell the path of a recording in another way, and their labels are used: manifest.csv, row 2: "B.wav" is taken for "b.wav"',
  ]);
});
