import { expect, it } from 'vitest';
import type { LetterGroup } from './letter-tally.js';
import type { CorpusRefusal } from './overview-snapshot.js';
import { troublesOf } from './troubles.js';

const nowMs = Date.parse('2026-11-30T18:30:00.000Z');
const at = (clock: string): string => `2026-11-30T${clock}:00.000Z`;
const crash: LetterGroup = {
  stage: 'features',
  code: 'UNKNOWN_REPEATED',
  corpus: 'drop',
  count: 1,
  latestAt: at('18:02'),
  latestSubject: 'corpora/drop/bomb.wav',
};
const refusal = (corpus: string, recordings: number): CorpusRefusal => ({
  corpus,
  code: 'MANIFEST_INVALID',
  message: 'corpora/acted/manifest.csv, line 7: gender "f" is not one of female, male',
  key: `corpora/${corpus}/m02.flac`,
  since: at('09:23'),
  latestAt: at('09:24'),
  recordings,
});
const linesOf = (refusedCorpora: CorpusRefusal[], groups: LetterGroup[], restarts: Parameters<typeof troublesOf>[1]): string[] =>
  troublesOf({ refusedCorpora, refusedRows: [], deadLetters: { total: 0, open: 0, byCode: {}, latest: [], groups } }, restarts, nowMs);

it('reports no trouble for a healthy pipeline, nor for a restart long ago', () => {
  expect(linesOf([], [], [])).toEqual([]);
  expect(
    linesOf(
      [],
      [],
      [
        { service: 'ingest', restarts: 2, lastAt: at('01:00') },
        { service: 'trainer', restarts: 0, lastAt: at('18:00') },
      ],
    ),
  ).toEqual([]);
});

it('reports a restart with its time, the exit, the log and the input to blame', () => {
  const restarts = [{ service: 'features', restarts: 3, lastAt: at('18:03'), lastExit: 'code 1', logFile: '/logs/features.log' }];
  expect(linesOf([], [crash], restarts)).toEqual([
    'features has restarted 3 times, last at 2026-11-30 18:03 UTC, after code 1. Its log says why: /logs/features.log ' +
      'The input to blame: corpora/drop/bomb.wav (crashed it three times, now a dead letter).',
  ]);
  expect(linesOf([], [crash], [{ service: 'ingest', restarts: 1, lastAt: at('18:03') }])).toEqual([
    'ingest has restarted once, last at 2026-11-30 18:03 UTC. Its log says why.',
  ]);
});

it('reports a refused corpus with its code, message, time and newest input', () => {
  expect(linesOf([refusal('acted', 12)], [], [])).toEqual([
    'Corpus acted is refused since 2026-11-30 09:23 UTC, 12 recordings wait. MANIFEST_INVALID: corpora/acted/manifest.csv, line 7: ' +
      'gender "f" is not one of female, male (newest input: corpora/acted/m02.flac)',
  ]);
  const many = linesOf(
    Array.from({ length: 7 }, (_, index) => refusal(`c${index}`, index)),
    [],
    [],
  );
  expect(many).toHaveLength(6);
  expect(many[0]).toContain('Corpus c0 is refused since 2026-11-30 09:23 UTC. ');
  expect(many[1]).toContain(', 1 recording waits. ');
  expect(many[5]).toBe('2 more corpora are refused.');
});

it('reports refused rows with the first of them, and says that the rest of the corpus is used', () => {
  const deadLetters = { total: 0, open: 0, byCode: {}, latest: [], groups: [] };
  const refusedRows = [
    { corpus: 'a', rows: 1, first: ['manifest.csv, row 3: gender "x".'] },
    { corpus: 'b', rows: 9, first: ['row 1.', 'row 2.', 'row 3.'] },
  ];
  expect(troublesOf({ refusedCorpora: [], refusedRows, deadLetters }, [], nowMs)).toEqual([
    'Corpus a: 1 row is refused, and the rest is used. manifest.csv, row 3: gender "x".',
    'Corpus b: 9 rows are refused, and the rest is used. row 1. row 2. row 3. …',
  ]);
});
