/**
 * Annotation files and `corpus.json` that are damaged in every way: each is read, or refused with its own code, and no recording is
 * given a label that the pipeline does not know. fast-check prints seed and smallest case of a failure.
 */
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { labelsSchema, splits } from '#contracts/labels.js';
import { parseCorpusOptions } from './corpus-options.js';
import type { CorpusReader } from './corpus-reader.js';
import { corpusReaders } from './corpus-readers.js';
import { readAnnotations, rowWarnings } from './read-annotations.js';

const seed = 20_261_130;
const manifest = 'path,speaker,gender,emotion,activation,valence,session,split';
const manifestLine = {
  path: 'a.wav',
  speaker: 's1',
  gender: 'female',
  emotion: 'sad',
  activation: 2.5,
  valence: 3,
  session: '1',
  split: 'dev',
};

/** By reader: annotation files that are right, and recordings that they annotate. */
const valid: Record<string, { files: [path: string, text: string][]; recordings: string[] }> = {
  manifest: {
    files: [
      ['manifest.csv', `${manifest}\na.wav,s1,female,sad,2.5,3,1,dev\n"b, c.wav",s2,male,happy,,,,train\nd/e.wav,,,,,,,\n`],
      ['manifest.jsonl', `${JSON.stringify(manifestLine)}\n${JSON.stringify({ path: 'd/e.wav', emotion: 'joy' })}\n`],
    ],
    recordings: ['a.wav', 'b, c.wav', 'd/e.wav'],
  },
  iemocap: {
    files: [
      [
        'Session1/dialog/EmoEvaluation/Ses01F_impro01.txt',
        '% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 3.5000, 2.5000]\nC-E2:\tNeutral;\t()\n[10.01 - 11.39]\tSes01F_impro01_M001\txxx\t[2.5000, 5.5000, 2.5000]\r\n',
      ],
    ],
    recordings: [
      'Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav',
      'Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M001.wav',
    ],
  },
  'msp-improv': {
    files: [
      [
        'Evalution.txt',
        'UTD-IMPROV-S01A-F01-P-FM01.avi; A; A:3.400000; V:1.600000; D:3.200000; N:3.400000;\nWORKER00000001; Angry; Angry,Frustrated; A:4.000000; V:1.000000;\nUTD-IMPROV-S05H-M03-R-FM02.avi; X; A:2.000000; V:3.000000; N:NaN;\r\n',
      ],
    ],
    recordings: ['Audio/session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav', 'Audio/session3/S05H/R/MSP-IMPROV-S05H-M03-R-FM02.wav'],
  },
  'crema-d': {
    files: [
      [
        'VideoDemographics.csv',
        'ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n1002,21,Female,"African, American",Not Hispanic\n,,,\n',
      ],
    ],
    recordings: ['AudioWAV/1001_IEO_ANG_LO.wav', 'AudioWAV/1002_DFA_FEA_XX.wav'],
  },
  librispeech: {
    files: [
      [
        'SPEAKERS.TXT',
        ';ID  |SEX| SUBSET           |MINUTES| NAME\n14   | F | train-clean-360  | 25.03 | Kristin LeMoine\n16   | M | train-clean-360  | 25.11 | Alys AtteWater\n',
      ],
    ],
    recordings: ['train-clean-360/14/208/14-208-0000.flac', 'LibriSpeech/train-clean-360/16/1/16-1-0001.flac'],
  },
  emodb: { files: [], recordings: ['wav/03a01Wa.wav'] },
  ravdess: { files: [], recordings: ['Actor_11/03-01-05-01-02-01-11.wav'] },
};

const counts: Record<string, number> = {};
const count = (what: string): void => {
  counts[what] = (counts[what] ?? 0) + 1;
};
afterAll(() => console.log(`${Object.values(counts).reduce((a, b) => a + b, 0)} cases`, counts));

/** Words that are something else to JavaScript, to CSV, to JSON, to Unicode or to a terminal. */
const hostileWords = [
  ...['constructor', '__proto__', 'toString', 'hasOwnProperty', 'null', 'NaN', 'Infinity', '-1', '1e309', '0x10', '5.0001'],
  ...[
    '"',
    '""',
    '"a',
    ',',
    ';',
    '\t',
    '\n',
    '\r',
    '\u0000',
    '\ufeff',
    '\ud800',
    '\u202e',
    '\u001b[31m',
    '../..',
    '//',
    '\\',
    'é',
    'e\u0301',
  ],
  ...['{', '[', '[[[[', '{"__proto__":{"emotion":"sad"}}', 'x'.repeat(5_000), ''],
];

interface Edit {
  kind: 'word' | 'noise' | 'leave out' | 'double' | 'cut';
  /** Share of the text before it. */
  at: number;
  length: number;
  word: string;
  noise: Uint8Array;
}
const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom('word', 'word', 'noise', 'leave out', 'double', 'cut'),
  at: fc.integer({ min: 0, max: 1_000 }).map((thousandth) => thousandth / 1_000),
  length: fc.integer({ min: 1, max: 40 }),
  word: fc.oneof(fc.constantFrom(...hostileWords), fc.string()),
  noise: fc.uint8Array({ minLength: 1, maxLength: 8 }),
});

function edited(text: string, edits: readonly Edit[]): Uint8Array {
  let bytes: Buffer = Buffer.from(text);
  for (const { kind, at, length, word, noise } of edits) {
    const from = Math.floor(at * bytes.length);
    const [before, after] = [bytes.subarray(0, from), bytes.subarray(from)];
    if (kind === 'word') bytes = Buffer.concat([before, Buffer.from(word), after.subarray(length % 7)]);
    else if (kind === 'noise') bytes = Buffer.concat([before, noise, after.subarray(noise.length)]);
    else if (kind === 'leave out') bytes = Buffer.concat([before, after.subarray(length)]);
    else if (kind === 'double') bytes = Buffer.concat([before, after.subarray(0, length), after]);
    else bytes = Buffer.from(before);
  }
  return new Uint8Array(bytes);
}

const oddPaths = [
  'constructor',
  '__proto__',
  '__proto__/a.wav',
  'a.wav/',
  ' a.wav',
  'x'.repeat(900),
  '\ud800.wav',
  'Session9/sentences/wav/x.wav',
];

/** Fails on anything but labels that the contract knows, or the code of annotations that cannot be used. */
function readsOrRefuses(reader: CorpusReader, files: ReadonlyMap<string, Uint8Array>, recordings: readonly string[]): void {
  const annotations = orRefusal('MANIFEST_INVALID', () => readAnnotations(reader, files, {}));
  if (!annotations) return;
  annotations.rows?.know(recordings);
  for (const path of [...recordings, ...oddPaths]) {
    const annotation = orRefusal('MANIFEST_INVALID', () => annotations.annotationOf(path));
    if (!annotation) continue;
    const { labels, split } = annotation;
    expect(labelsSchema.parse(labels)).toEqual(labels);
    if (split !== undefined) expect(splits).toContain(split);
  }
  for (const number of Object.values(annotations.remarks)) expect(number).toBeGreaterThan(0);
  for (const sentence of [...annotations.warnings, ...rowWarnings(annotations)]) expect(typeof sentence).toBe('string');
  annotations.rows?.takeDisplaced();
}

function orRefusal<Result>(code: string, work: () => Result): Result | null {
  try {
    const result = work();
    count('read');
    return result;
  } catch (error) {
    if ((error as Error).name !== 'PipelineError') throw error;
    expect(error).toMatchObject({ code });
    count(code);
    return null;
  }
}

it('has a valid sample of each reader', () => {
  expect(Object.keys(valid).sort()).toEqual(corpusReaders.map(({ name }) => name).sort());
});

describe.each(corpusReaders.map((reader) => [reader.name, reader] as const))('damaged annotations of %s', (name, reader) => {
  const { files, recordings } = valid[name] ?? { files: [], recordings: [] };

  it('are read, or refused with MANIFEST_INVALID', () => {
    const changes = fc.tuple(...files.map(() => fc.array(edit, { maxLength: 4 })));
    const property = fc.property(changes, fc.subarray(files.map((_, at) => at)), (edits, present) => {
      const damaged = present.map((at) => {
        const [path, text] = files[at] as [string, string];
        return [path, edited(text, edits[at] ?? [])] as const;
      });
      readsOrRefuses(reader, new Map(damaged), recordings);
    });
    fc.assert(property, { numRuns: 1_500, seed });
  });
});

describe('lines of manifest.jsonl', () => {
  it('may be any JSON', () => {
    const cell = fc.oneof(fc.constantFrom(...hostileWords), fc.jsonValue());
    const row = fc.record(Object.fromEntries(Object.keys(manifestLine).map((column) => [column, cell])), { requiredKeys: [] });
    const line = fc.oneof({ weight: 4, arbitrary: row }, { weight: 1, arbitrary: fc.jsonValue() });
    const property = fc.property(fc.array(line, { maxLength: 4 }), (lines) => {
      const text = lines.map((each) => JSON.stringify(each)).join('\n');
      readsOrRefuses(manifestReaderOf(), new Map([['manifest.jsonl', new TextEncoder().encode(text)]]), ['a.wav']);
    });
    fc.assert(property, { numRuns: 1_500, seed });
  });
});

const manifestReaderOf = (): CorpusReader => corpusReaders.find(({ name }) => name === 'manifest') as CorpusReader;

describe('corpus.json', () => {
  const parses = (bytes: Uint8Array): void => {
    orRefusal('CORPUS_OPTIONS_INVALID', () => parseCorpusOptions('corpora/x/corpus.json', bytes));
  };
  const text = JSON.stringify({ reader: 'manifest', silence: 'ends', description: 'd', labels: { joie: 'happy', constructor: null } });

  it('that is damaged is read, or refused with CORPUS_OPTIONS_INVALID', () => {
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 4 }), (edits) => parses(edited(text, edits))),
      { numRuns: 1_500, seed },
    );
  });

  it('may be any JSON, and any bytes', () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom(...hostileWords),
      fc.dictionary(fc.constantFrom(...hostileWords), fc.jsonValue()),
    );
    const options = fc.record({ reader: value, silence: value, description: value, labels: value }, { requiredKeys: [] });
    fc.assert(
      fc.property(fc.oneof(options, fc.jsonValue()), (json) => parses(new TextEncoder().encode(JSON.stringify(json)))),
      { numRuns: 1_500, seed },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => parses(bytes)),
      { numRuns: 500, seed },
    );
  });
});

it('leaves the prototypes of all objects as they were', () => {
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as { emotion?: unknown }).emotion).toBeUndefined();
});
