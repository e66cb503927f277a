import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emotionCategories, genders } from '#contracts/labels.js';
import { isTrained, refuseLeaks, viewOf, type ViewUtterance } from '#index/training-index.js';
import { experimentData } from './experiment-data.js';
import { parseExperimentFile, type ExperimentFile } from './experiment-file.js';
import { type ExperimentPlan, planExperiment, stepsOf } from './plan-experiment.js';

const speakers = 6;
const utterance = (corpus: string, speaker: number, take: number): ViewUtterance => ({
  utteranceId: `${corpus}/s${speaker}/${take}`,
  version: 'v1',
  objectKey: 'k',
  stream: 'labelled',
  labels: {
    speakerId: `${corpus}/s${speaker}`,
    gender: genders[speaker % 2],
    category: emotionCategories[take % 4],
    activation: 1 + (take % 5),
    valence: 1 + ((take * 2 + speaker) % 5),
  },
  split: 'train',
  withheld: false,
  shardId: 's',
  shardObjectKey: 's',
  firstRow: 0,
  tileCount: 1,
});
const corpus = (name: string, takes: number): ViewUtterance[] =>
  Array.from({ length: speakers * takes }, (_, index) => utterance(name, Math.floor(index / takes), index % takes));
const all = viewOf('hash', [...corpus('acted', 24), ...corpus('books', 12), ...corpus('other', 8)]);

const text = (more: string): string => `name: x\ncorpus: acted\nauxiliary: [books]\nfolds: { count: 3 }\n${more}`;
const fileOf = (more: string): ExperimentFile => parseExperimentFile(text(more), 'x.yaml');
const rows = 'rows:\n  - { id: mtl, auxiliary: [gender, speaker] }\n  - { id: cnn, system: cnn }\n';
function planOf(more: string, { search = false, by = 'speaker' }: { search?: boolean; by?: string } = {}): ExperimentPlan {
  const file = parseExperimentFile(text(more).replace('{ count: 3 }', `{ count: 3, by: ${by} }`), 'x.yaml');
  return planExperiment(file, experimentData(file, all, [128, 256]), { search });
}
const ofCorpus = (name: string) => (each: ViewUtterance) => each.utteranceId.startsWith(`${name}/`);

describe('the jobs of an experiment', () => {
  it('are rows × folds × seeds, plus one job per fold for each reference', () => {
    const { jobs } = planOf(`${rows}seeds: [1, 2]`);
    const counts = Map.groupBy(jobs, ({ job }) => job.rowId);
    expect([...counts].map(([row, own]) => [row, own.length])).toEqual([
      ['majority', 3],
      ['functionals', 3],
      ['mtl', 6],
      ['cnn', 6],
    ]);
    expect(new Set(jobs.map(({ job }) => job.jobId)).size).toBe(jobs.length);
  });

  it('keep their ids when planned again, and get new ids when an input that decides the numbers changes', () => {
    const ids = (more: string, search = false): string =>
      planOf(more, { search })
        .jobs.map(({ job }) => job.jobId)
        .join();
    expect(ids(rows)).toBe(ids(rows));
    expect(ids(`${rows}title: another title`)).toBe(ids(rows));
    for (const change of [
      'seeds: [2]',
      'steps: 7',
      'model: { beta: 0.3 }',
      'batch: { labelled: 8, unlabelled: 8 }',
      'patience: 3',
      'checkEvery: 5',
    ])
      expect(ids(`${rows}${change}`), change).not.toBe(ids(rows));
    expect(ids(rows, true)).not.toBe(ids(rows));
    const file = fileOf(rows);
    const relabelled = all.utterances.map((each, index) => (index === 0 ? { ...each, version: 'v2' } : each));
    const other = planExperiment(file, experimentData(file, viewOf('hash', relabelled), [128, 256]), { search: false });
    expect(other.jobs.map(({ job }) => job.jobId).join()).not.toBe(ids(rows));
  });

  it('try alpha from 0.1 to 1.0 only with --search, and never for a CNN, which has no alpha', () => {
    const alphas = (search: boolean, row: string) =>
      planOf(rows, { search })
        .jobs.find(({ job }) => job.rowId === row)
        ?.candidates.map(({ alpha }) => alpha);
    expect(alphas(false, 'mtl')).toEqual([0.4]);
    expect(alphas(true, 'mtl')).toEqual([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]);
    expect(alphas(true, 'cnn')).toEqual([0.4]);
  });

  it('give an auxiliary task that is learnt alone beta 0, and a single-task CNN no unlabelled tiles', () => {
    const { jobs } = planOf('references: []\nrows:\n  - { id: gender, task: gender }\n  - { id: cnn, system: cnn }');
    const model = jobs.find(({ job }) => job.rowId === 'gender')?.candidates[0]?.model;
    expect(model).toMatchObject({ beta: 0, auxiliary: { gender: true, speaker: false } });
    expect(jobs.find(({ job }) => job.rowId === 'cnn')?.batch).toEqual({ labelled: 16, unlabelled: 0 });
  });

  it('draw all classes equally often and no unlabelled tiles for a CNN-LSTM, unless the file says otherwise', () => {
    const planned = (model = '{}') =>
      planOf(`references: []\nrows:\n  - { id: own, system: cnn-lstm, model: ${model} }`, { search: true }).jobs[0]!;
    expect(planned().batch).toEqual({ labelled: 16, unlabelled: 0 });
    expect(planned().candidates).toMatchObject([{ model: { classBalance: 'sampling', cnnLstm: { warp: [0.9, 1.1] } } }]);
    expect(planned('{ classBalance: weights }').candidates[0]?.model.classBalance).toBe('weights');
  });

  it('give a progressive network half as many steps for its source task as for emotion, unless the file gives a number', () => {
    const planned = (model = '{}') =>
      planOf(`references: []\nsteps: 7\nrows:\n  - { id: own, system: progressive, auxiliary: [speaker], model: ${model} }`, {
        search: true,
      }).jobs[0]!;
    const { candidates, batch } = planned();
    expect(candidates).toHaveLength(1);
    expect(candidates[0]?.model).toMatchObject({
      auxiliary: { gender: false, speaker: true },
      progressive: { sourceSteps: 4, reduction: 2 },
    });
    expect(stepsOf(candidates[0]!, 7)).toBe(11);
    expect(batch).toEqual({ labelled: 16, unlabelled: 16 });
    expect(planned('{ progressive: { sourceSteps: 3, reduction: 4 } }').candidates[0]?.model.progressive).toEqual({
      sourceSteps: 3,
      reduction: 4,
    });
    const mtl = planOf(rows).jobs.find(({ row }) => row.system === 'aae')!.candidates[0]!;
    expect(stepsOf(mtl, 7)).toBe(7);
    expect(Object.keys(mtl.model)).not.toEqual(expect.arrayContaining(['cnnLstm']));
    expect(Object.keys(mtl.model)).not.toEqual(expect.arrayContaining(['progressive']));
  });

  it('are refused for a progressive network if no utterance has a label of its source task', () => {
    const file = fileOf('rows:\n  - { id: prognet, system: progressive, auxiliary: [gender] }');
    const ungendered = all.utterances.map((each) => ({ ...each, labels: { ...each.labels, gender: undefined } }));
    const data = experimentData(file, viewOf('hash', ungendered), [128, 256]);
    expect(() => planExperiment(file, data, { search: false })).toThrow(/rows\.prognet: no utterance has a gender/);
  });
});

describe('the data of a job', () => {
  const foldRules = fc.constantFrom('speaker', 'utterance');

  it('never includes test utterances, uses dev for checks only, and auxiliary corpora for training without emotions', () => {
    fc.assert(
      fc.property(foldRules, fc.integer({ min: 0, max: 2 }), (by, fold) => {
        const { training, test } = planOf(rows, { by }).viewOf({ fold, point: null });
        const learnt = new Set(training.utterances.map(({ utteranceId }) => utteranceId));
        expect(test.some(({ utteranceId }) => learnt.has(utteranceId))).toBe(false);
        expect(training.utterances.every(({ split }) => split !== 'test')).toBe(true);
        expect(test.every(ofCorpus('acted'))).toBe(true);
        const books = training.utterances.filter(ofCorpus('books'));
        expect(books.every(({ split, labels }) => split === 'train' && labels.category === undefined && labels.valence === undefined)).toBe(
          true,
        );
        expect(books.length).toBe(72);
        expect(training.utterances.some(ofCorpus('other'))).toBe(false);
        refuseLeaks(training);
      }),
      { numRuns: 6 },
    );
  });

  it('has the other emotions of training speakers as unlabelled speech, and none of dev or test speakers', () => {
    const calm = all.utterances.map((each, index) =>
      each.utteranceId.startsWith('acted/') && index % 3 === 0 ? { ...each, labels: { ...each.labels, category: undefined } } : each,
    );
    const dataOf = (more: string) => {
      const file = fileOf(`${rows}${more}`);
      return planExperiment(file, experimentData(file, viewOf('hash', calm), [128, 256]), { search: false });
    };
    for (const fold of [0, 1, 2]) {
      const { training, test } = dataOf('').viewOf({ fold, point: null });
      const own = training.utterances.filter(ofCorpus('acted'));
      const unlabelled = own.filter(({ stream }) => stream === 'unlabelled');
      expect(unlabelled).toHaveLength((2 * 24) / 3); // two of six speakers are in training
      expect(unlabelled.every(({ split, labels }) => split === 'train' && labels.category === undefined)).toBe(true);
      const heldOut = new Set([...test, ...own.filter(({ split }) => split === 'dev')].map(({ labels }) => labels.speakerId));
      expect(unlabelled.some(({ labels }) => heldOut.has(labels.speakerId))).toBe(false);
      expect(test.every(({ labels }) => labels.category !== undefined)).toBe(true);
      refuseLeaks(training);
    }
    const without = dataOf('otherEmotions: leave-out').viewOf({ fold: 0, point: null });
    expect(without.training.utterances.filter(ofCorpus('acted')).every(({ stream }) => stream === 'labelled')).toBe(true);
  });

  it('does not depend on the labels of the test fold, so early stopping and search cannot use them', () => {
    const { test, training } = planOf(rows).viewOf({ fold: 0, point: null });
    const tested = new Set(test.map(({ utteranceId }) => utteranceId));
    const relabelled = all.utterances.map((each) =>
      tested.has(each.utteranceId) ? { ...each, version: 'v2', labels: { ...each.labels, category: 'angry' as const } } : each,
    );
    const file = fileOf(rows);
    const other = planExperiment(file, experimentData(file, viewOf('hash', relabelled), [128, 256]), { search: true });
    expect(other.viewOf({ fold: 0, point: null }).training).toEqual(training);
  });

  it('with every speaker in every fold, shares speakers with test, and gives dev speakers other ids', () => {
    const { viewOf: view } = planOf(rows, { by: 'utterance' });
    const { training, test } = view({ fold: 1, point: null });
    refuseLeaks(training);
    const learnt = new Set(training.utterances.filter(isTrained).map(({ labels }) => labels.speakerId));
    expect(test.every(({ labels }) => learnt.has(labels.speakerId))).toBe(true);
  });

  it('withholds some of the training speakers’ utterances if a row has the speaker task, and none otherwise', () => {
    const withheld = (more: string): number =>
      planOf(more)
        .viewOf({ fold: 0, point: null })
        .training.utterances.filter((each) => each.withheld).length;
    expect(withheld(rows)).toBeGreaterThan(0);
    expect(withheld('rows:\n  - { id: gender, auxiliary: [gender] }')).toBe(0);
  });

  it('takes the swept number of auxiliary speakers, as nested sets with both genders by turns', () => {
    const plan = planOf(`${rows}sweep: { over: auxiliary-speakers, points: [0, 2, 4, 99] }`);
    expect(plan.points).toEqual([0, 2, 4]);
    expect(plan.findings.join()).toContain('99 left out');
    const heard = plan.points.map((point) => {
      const books = plan.viewOf({ fold: 0, point }).training.utterances.filter(ofCorpus('books'));
      return new Map(books.map(({ labels }) => [labels.speakerId, labels.gender]));
    });
    expect(heard.map(({ size }) => size)).toEqual([0, 2, 4]);
    expect([...heard[1]!.keys()].every((speaker) => heard[2]!.has(speaker))).toBe(true);
    expect(new Set(heard[1]!.values()).size).toBe(2);
  });

  it('keeps the swept share of each category’s labels, all speaker labels, and all labels of dev and test', () => {
    const plan = planOf(`${rows}sweep: { over: label-share, points: [0.25, 1] }`);
    const labelled = (point: number) => {
      const { training, test } = plan.viewOf({ fold: 0, point });
      const acted = training.utterances.filter(ofCorpus('acted'));
      const labelledIn = (part: ViewUtterance[]) => part.filter(({ labels }) => labels.category !== undefined);
      return {
        train: labelledIn(acted.filter(({ split }) => split === 'train')),
        heard: acted.filter(({ split, labels }) => split === 'train' && labels.speakerId !== undefined).length,
        dev: labelledIn(acted.filter(({ split }) => split === 'dev')).length,
        test: labelledIn(test).length,
      };
    };
    const [quarter, whole] = [labelled(0.25), labelled(1)];
    expect(quarter.train.length).toBe(Math.ceil(whole.train.length / 4));
    expect(quarter.heard).toBe(whole.train.length);
    expect([quarter.dev, quarter.test]).toEqual([whole.dev, whole.test]);
    for (const category of emotionCategories) expect(quarter.train.filter(({ labels }) => labels.category === category).length).toBe(3);
  });

  it('tests on all of another corpus in a cross-corpus run, and learns nothing from that corpus', () => {
    const { training, test } = planOf(`${rows}testCorpus: other`).viewOf({ fold: 0, point: null });
    expect(test.length).toBe(48);
    expect(test.every(ofCorpus('other'))).toBe(true);
    expect(training.utterances.some(ofCorpus('other'))).toBe(false);
  });
});
