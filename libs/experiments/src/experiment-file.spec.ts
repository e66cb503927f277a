import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '#service/package-root.js';
import { parseExperimentFile, readExperimentFile } from './experiment-file.js';

const least = 'name: x\ncorpus: c\nrows: [{ id: a }]';
const parse = (more = ''): ReturnType<typeof parseExperimentFile> => parseExperimentFile(`${least}\n${more}`, 'x.yaml');

describe('the experiment file', () => {
  it('requires a name, a corpus and rows, and takes the rest from the paper’s protocol', () => {
    expect(parse()).toMatchObject({
      folds: { count: 10, by: 'speaker' },
      fourCategoriesOnly: true,
      references: ['majority', 'functionals'],
      rows: [{ system: 'aae', target: 'emotion', task: 'emotion', auxiliary: [] }],
    });
    expect(parse().search.alpha).toHaveLength(10);
  });

  it.each([
    ['rows: [{ id: a, system: lstm }]', /x\.yaml: rows\.0\.system/],
    ['folds: { count: 2 }', /folds\.count/],
    ['patients: 3', /Unrecognized key.*patients/],
    ['sweep: { over: label-share, points: [0, 0.5] }', /share of labels lies above 0/],
    ['auxiliary: [c]', /c is the corpus of the folds/],
    ['testCorpus: c', /c is learnt from/],
    ['sweep: { over: auxiliary-speakers, points: [1] }', /no auxiliary corpus/],
    ['model: { filters: [8], pools: [] }', /rows\.a: model settings/],
    ['rows: [{ id: a, system: cnn-lstm, auxiliary: [gender] }]', /rows\.a: system cnn-lstm is single-task/],
    ['rows: [{ id: a, system: cnn-lstm, task: gender }]', /rows\.a: system cnn-lstm learns emotion only/],
    ['rows: [{ id: a, system: cnn-lstm, alpha: 0.4 }]', /rows\.a: system cnn-lstm has neither alpha nor beta/],
    ['rows: [{ id: a, system: progressive }]', /rows\.a: system progressive has one source task/],
    ['rows: [{ id: a, system: progressive, auxiliary: [gender, speaker] }]', /rows\.a: system progressive has one source task/],
    ['rows: [{ id: a, system: progressive, auxiliary: [gender], beta: 1 }]', /rows\.a: system progressive has neither alpha nor beta/],
    ['rows: [{ id: a, model: { cnnLstm: { units: 3 } } }]', /rows\.a: model settings: cnnLstm is of system cnn-lstm/],
    [
      'rows: [{ id: a, system: cnn-lstm, model: { cnnLstm: { filters: [8] } } }]',
      /rows\.a: model settings: filters has 1 blocks and pools 4/,
    ],
  ])('refuses %s and names the mistake', (more, complaint) => {
    const own = more.startsWith('rows') ? `name: x\ncorpus: c\n${more}` : `${least}\n${more}`;
    expect(() => parseExperimentFile(own, 'x.yaml')).toThrow(complaint);
  });

  it('refuses two rows with the same id, and a row that neither runs nor quotes', () => {
    expect(() => parseExperimentFile('name: x\ncorpus: c\nrows: [{ id: a }, { id: a }]', 'x')).toThrow(/two rows have the id a/);
    expect(() => parseExperimentFile('name: x\ncorpus: c\nrows: [{ id: a, quotedOnly: true }]', 'x')).toThrow(/quotes nothing/);
  });

  const isExperiment = (name: string): boolean => name.endsWith('.yaml') && !name.endsWith('-aae.yaml');
  const examples = readdirSync(join(packageRoot, 'examples')).filter(isExperiment);
  it.each(examples)('reads examples/%s', (name) => {
    const file = readExperimentFile(join(packageRoot, 'examples', name));
    expect(`${file.name}.yaml`).toBe(name);
    if (name.startsWith('paper-')) expect(file.features).toEqual({ layout: 'centre' });
    else if (name.startsWith('real-')) expect(file).toMatchObject({ synthetic: false, shards: 'corpora' });
    else expect(file).toMatchObject({ synthetic: true, shards: 'samples' });
  });
});
