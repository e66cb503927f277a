import { describe, expect, it } from 'vitest';
import { confusionMatrix, mostProbable, scoresOf } from '#evaluation/confusion.js';
import type { PredictionRow } from '#evaluation/predictions-file.js';
import { compareSystems } from './compare-systems.js';
import type { ExperimentResults, ExperimentRow, JobResult } from './experiment-results.js';
import { madeTable } from './made-results.fixture.js';
import { scoreTables } from './score-tables.js';
import { summariseResults } from './summarise-results.js';

const classes = ['angry', 'happy'];
const rowOf = (id: string, more: Partial<ExperimentRow> = {}): ExperimentRow => ({
  id,
  label: id,
  system: 'aae',
  target: 'emotion',
  auxiliary: [],
  quoted: [],
  isQuotedOnly: false,
  ...more,
});

/** @param answers by speaker: `aA` is an angry utterance that was answered angry, `aH` one that was answered happy */
function job(rowId: string, fold: number, seed: number, answers: Record<string, string>): JobResult {
  const rows = Object.entries(answers).flatMap(([speakerId, words]) =>
    words.split(' ').map(
      (word, index): PredictionRow => ({
        utteranceId: `${speakerId}/${index}`,
        split: 'test',
        speakerId,
        truth: word[0] === 'a' ? 0 : 1,
        probabilities: Float32Array.from(word[1] === 'A' ? [0.8, 0.2] : [0.3, 0.7]),
      }),
    ),
  );
  const scored = rows.map(({ truth, probabilities }) => ({ truth, prediction: mostProbable(probabilities) }));
  const { n, wa, ua, recall, confusion } = scoresOf(confusionMatrix(scored, 2));
  return {
    job: { jobId: `${rowId}-${fold}-${seed}`, rowId, point: null, fold, seed, alpha: 0.4, beta: 0 },
    evaluations: [
      {
        ...{ runId: 'r', step: 1, task: 'emotion', split: 'test', n, speakers: Object.keys(answers).length, wa, ua, uaInterval: null },
        ...{
          recall: { angry: recall[0] ?? null, happy: recall[1] ?? null },
          classes,
          confusion,
          viewDigest: 'd',
          evaluatedAt: '2026-01-01T00:00:00.000Z',
        },
      },
    ],
    predictions: [{ task: 'emotion', classes, rows }],
    curve: [],
    bestStep: 1,
    wallSec: 1,
    machine: 'm',
    codeVersion: 'c',
  };
}

const resultsOf = (rows: ExperimentRow[], results: JobResult[]): ExperimentResults => ({
  ...madeTable({ folds: 1, seeds: [1] }),
  rows,
  results,
  missing: [],
});

describe('a summary', () => {
  // Fold 0: UA 1/2 and 1 by seed, mean 3/4. Fold 1: 1/4 and 1/2, mean 3/8.
  const results = [
    job('x', 0, 1, { s1: 'aA aA hA hA' }),
    job('x', 0, 2, { s1: 'aA aA hH hH' }),
    job('x', 1, 1, { s2: 'aA aH hA hA' }),
    job('x', 1, 2, { s2: 'aA aH hH hA' }),
  ];
  const [summary] = summariseResults(resultsOf([rowOf('x')], results));

  it('averages over seeds within each fold, then over folds', () => {
    expect(summary?.ua.mean).toBeCloseTo(0.5625, 12);
    expect(summary?.ua.sdOverFolds).toBeCloseTo(0.375 / Math.SQRT2, 12);
    // By seed 3/8 and 3/4.
    expect(summary?.ua.sdOverSeeds).toBeCloseTo(0.375 / Math.SQRT2, 12);
  });

  it('weighs folds equally when jobs are missing', () => {
    const [partial] = summariseResults(resultsOf([rowOf('x')], results.slice(0, 3)));
    expect(partial?.ua.mean).toBeCloseTo((0.75 + 0.25) / 2, 12);
    expect(partial).toMatchObject({ folds: 2, seeds: 2, jobs: 3 });
  });

  it('pools the predictions of all folds and seeds into the mean over seeds of the score over all speakers', () => {
    // Angry: 6 of 8. Happy: 3 of 8.
    expect(summary?.confusion).toEqual([
      [6, 2],
      [5, 3],
    ]);
    expect(summary?.ua.pooled).toBeCloseTo((6 / 8 + 3 / 8) / 2, 12);
    const bySeed = [1, 2].map((seed) => {
      const rows = results.filter(({ job: { seed: own } }) => own === seed).flatMap(({ predictions }) => predictions[0]?.rows ?? []);
      const scored = rows.map(({ truth, probabilities }) => ({ truth, prediction: mostProbable(probabilities) }));
      return scoresOf(confusionMatrix(scored, 2)).ua;
    });
    expect(summary?.ua.pooled).toBeCloseTo(((bySeed[0] as number) + (bySeed[1] as number)) / 2, 12);
    expect(summary?.recall).toEqual([0.75, 0.375]);
  });

  it('counts each utterance and speaker once, and gives no interval below five speakers', () => {
    expect(summary).toMatchObject({ utterances: 8, speakers: 2, jobs: 4, ua: { interval: null } });
  });

  it('ignores dev utterances among the predictions', () => {
    const withDev = structuredClone(results);
    for (const { predictions } of withDev)
      predictions[0]?.rows.push({ utteranceId: 'd', split: 'dev', speakerId: 'd', truth: 0, probabilities: Float32Array.of(0, 1) });
    expect(summariseResults(resultsOf([rowOf('x')], withDev))[0]?.confusion).toEqual(summary?.confusion);
  });

  it('merges classes by name, because folds have different speakers', () => {
    const speakers = (fold: number, names: string[]): JobResult => {
      const made = job('x', fold, 1, { known: 'aA hH' });
      const rows = (made.predictions[0]?.rows ?? []).map((row) => ({ ...row, split: 'withheld' as const }));
      const evaluation = { ...made.evaluations[0], task: 'speaker', split: 'withheld', classes: names } as JobResult['evaluations'][number];
      return { ...made, evaluations: [evaluation], predictions: [{ task: 'speaker', classes: names, rows }] };
    };
    const [found] = summariseResults(resultsOf([rowOf('x')], [speakers(0, ['ann', 'bob']), speakers(1, ['bob', 'cy'])]));
    expect(found?.classes).toEqual(['ann', 'bob', 'cy']);
    expect(found?.confusion).toEqual([
      [1, 0, 0],
      [0, 2, 0],
      [0, 0, 1],
    ]);
    expect(found?.ua.interval).toBeNull();
  });
});

describe('intervals and comparisons', () => {
  const results = madeTable({ folds: 4, seeds: [1, 2], speakersPerFold: 2 });
  const summaries = summariseResults(results);

  it('are the same whatever the order of jobs', () => {
    const turned = { ...results, results: results.results.toReversed() };
    const again = summariseResults(turned);
    expect(again.map(({ ua }) => ua.interval)).toEqual(summaries.map(({ ua }) => ua.interval));
    expect(summaries[0]?.ua.interval).toEqual([0.25, 0.25]);
    const tested = (all: ExperimentResults) =>
      compareSystems(all, summariseResults(all)).map(({ comparisons }) => comparisons.map((each) => each.tested));
    expect(tested(turned)).toEqual(tested(results));
  });

  it('finds no difference between a system and its copy, and a full difference between right and wrong', () => {
    const speakers = ['s1', 's2', 's3', 's4', 's5', 's6'];
    const all = (answer: string): Record<string, string> => Object.fromEntries(speakers.map((speaker) => [speaker, answer]));
    const rows = ['wrong', 'right', 'copy'].map((id) => rowOf(id));
    const made = resultsOf(rows, [job('wrong', 0, 1, all('aH hA')), job('right', 0, 1, all('aA hH')), job('copy', 0, 1, all('aA hH'))]);
    const [family] = compareSystems(made, summariseResults(made));
    const [rightOverWrong, copyOverWrong, copyOverRight] = family?.comparisons ?? [];
    expect(rightOverWrong?.tested).toMatchObject({ difference: 1, interval: [1, 1] });
    // 10,000 draws, none lost: 2 / 10,001; Holm: times 3 comparisons.
    expect(rightOverWrong?.tested?.p).toBeCloseTo(2 / 10_001, 12);
    expect(rightOverWrong?.tested?.adjusted).toBeCloseTo(6 / 10_001, 12);
    expect(copyOverWrong?.tested?.adjusted).toBeCloseTo(6 / 10_001, 12);
    expect(copyOverRight?.tested).toMatchObject({ difference: 0, p: 1, adjusted: 1 });
  });

  it('compares all seeds of a network with the one run of a reference', () => {
    const speakers = ['s1', 's2', 's3', 's4', 's5', 's6'];
    const all = (answer: string): Record<string, string> => Object.fromEntries(speakers.map((speaker) => [speaker, answer]));
    const rows = [rowOf('majority', { system: 'majority' }), rowOf('net')];
    const made = resultsOf(rows, [job('majority', 0, 1, all('aA hA')), job('net', 0, 1, all('aA hH')), job('net', 0, 2, all('aA hA'))]);
    const [family] = compareSystems(made, summariseResults(made));
    // 100 % with one seed, 50 % with the other, less 50 % of the reference.
    expect(family?.comparisons.map(({ tested }) => tested?.difference)).toEqual([0.25]);
  });

  it('compares a sweep’s points with the first of their line, and systems with the first network, but no level reference', () => {
    const speakers = ['s1', 's2', 's3', 's4', 's5', 's6'];
    const all = (answer: string): Record<string, string> => Object.fromEntries(speakers.map((speaker) => [speaker, answer]));
    const rows = [rowOf('majority', { system: 'majority' }), rowOf('net'), rowOf('other')];
    const at = (point: number, each: JobResult): JobResult => ({ ...each, job: { ...each.job, point } });
    const made = resultsOf(rows, [
      at(1, job('majority', 0, 1, all('aA hA'))),
      at(1, job('net', 0, 1, all('aA hA'))),
      at(2, job('net', 0, 1, all('aA hH'))),
      at(1, job('other', 0, 1, all('aA hH'))),
      at(2, job('other', 0, 1, all('aH hA'))),
    ]);
    const lines = { ...made, experiment: { ...made.experiment, layout: 'lines' as const } };
    const families = compareSystems(lines, summariseResults(lines));
    const told = families.map(({ between, comparisons }) => [
      between,
      comparisons.map(({ first, second, tested }) => [first.row.id, first.point, second.row.id, second.point, tested?.difference]),
    ]);
    expect(told).toEqual([
      [
        'points',
        [
          ['net', 2, 'net', 1, 0.5],
          ['other', 2, 'other', 1, -1],
        ],
      ],
      [
        'systems-by-point',
        [
          ['other', 1, 'net', 1, 0.5],
          ['other', 2, 'net', 2, -1],
        ],
      ],
    ]);
  });

  it('compares on common folds and seeds, and gives a reason if there are none or the utterances differ', () => {
    const rows = [rowOf('a'), rowOf('b'), rowOf('c')];
    const made = resultsOf(rows, [job('a', 0, 1, { s1: 'aA hH' }), job('b', 0, 1, { s1: 'aA aA' }), job('c', 1, 1, { s2: 'aA' })]);
    const [family] = compareSystems(made, summariseResults(made));
    expect(family?.comparisons.map(({ why }) => why)).toEqual([
      'they were not tested on the same utterances',
      'they have no predictions of one fold and seed in common',
      'they have no predictions of one fold and seed in common',
    ]);
  });
});

describe('the table of scores', () => {
  it('shows our score, the paper’s and the difference in the paper’s layout', () => {
    const quoted: ExperimentRow['quoted'] = [{ task: 'emotion', measure: 'ua', value: 68.54, where: 'Table III' }];
    const made = resultsOf([rowOf('x', { quoted })], [job('x', 0, 1, { s1: 'aA aA hA hH' }), job('x', 1, 1, { s2: 'aA aH hA hA' })]);
    const [table] = scoreTables(made, summariseResults(made));
    expect(table?.columns.map(({ name }) => name)).toEqual(['System', 'ours', '95 % interval', 'paper', 'diff.']);
    // UA 75 and 25: mean 50, standard deviation 50 / sqrt 2.
    expect(table?.rows).toEqual([['x', { text: '50.0 ± 35.4', strong: true }, '–', '68.54', '−18.5']]);
  });

  it('puts rows with the same label and different targets into one line, and loses no row', () => {
    const rows = [
      rowOf('ga', {
        label: 'Gender',
        target: 'activation',
        quoted: [{ task: 'activation', measure: 'ua', value: 63.54, where: 'Table IV' }],
      }),
      rowOf('gv', { label: 'Gender', target: 'valence' }),
      rowOf('twice', { label: 'Gender', target: 'valence' }),
    ];
    const tables = scoreTables(resultsOf(rows, []), []);
    expect(tables.flatMap((table) => table.rows.map((row) => row[0]))).toEqual(['Gender', 'Gender (twice)']);
    expect(tables[0]?.rows[0]).toEqual(['Gender', '–', '–', '63.54', '–', '–', '–']);
  });
});
