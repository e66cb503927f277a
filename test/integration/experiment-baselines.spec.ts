/** The baselines of Table II and an AAE as rows of an experiment on made tiles: in one run, and killed in each phase. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { writeShard } from '#audio/shard/shard-file.js';
import { readExperimentResults } from '#experiments/experiment-folder.js';
import { numbers, startExperiment } from './experiment-process.js';
import { madeRow, tileSettings } from './made-tiles.js';

const folder = mkdtempSync(join(tmpdir(), 'undertone-baselines-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'baselines.yaml');
const shards = join(folder, 'shards');
/** Six speakers with eight utterances each, and one without labels in the auxiliary corpus. */
const utteranceCount = 6 * 8;
const rows = Array.from({ length: utteranceCount }, (_, index) =>
  madeRow({ corpus: 'made', speaker: index % 6, take: Math.floor(index / 6) }),
);
const plain = Array.from({ length: 4 }, (_, take) => ({
  ...madeRow({ corpus: 'plain', speaker: 6, take }),
  ...{ category: null, activation: null, valence: null },
}));
mkdirSync(shards);
writeFileSync(join(shards, 'made.arrow'), writeShard([...rows, ...plain], tileSettings));
writeFileSync(
  file,
  `name: baselines
synthetic: true
shards: ${shards}
corpus: made
auxiliary: [plain]
folds: { count: 3, by: speaker }
model: { filters: [4, 8], pools: [[2, 2], [2, 2]], dense: 16, headFilters: 4, speakerLoss: perLogK }
batch: { labelled: 12, unlabelled: 4 }
steps: 20
checkEvery: 10
statisticsTiles: 64
references: []
rows:
  - id: cnn-lstm
    system: cnn-lstm
    model: { cnnLstm: { filters: [4, 4, 8, 8], units: 8 } }
    quoted: [{ measure: ua, value: 61.7 }]
  - id: from-gender
    system: progressive
    auxiliary: [gender]
  - id: from-speaker
    system: progressive
    auxiliary: [speaker]
  - id: both
    model: { update: joint }
    auxiliary: [gender, speaker]
`,
);
const start = (out: string, ...more: string[]) => startExperiment(file, join(folder, out), ...more);
const resultsOf = (out: string) => readExperimentResults(join(folder, out));

it('times their steps in a dry run, including those of the source task', async () => {
  const { code, text } = await start('dry', '--dry-run').ended;
  expect(text).toMatch(/cnn-lstm +3 +\d+ ms[\s\S]*from-gender +3 +10 steps before +\d+ ms[\s\S]*About .* with \d+ jobs? at a time/);
  expect(code).toBe(0);
});

it('runs them to a report with the paper’s number, and checks dev only while emotion is learnt', async () => {
  const { code, text } = await start('whole', '--jobs', '2').ended;
  expect(code, text).toBe(0);
  const { results } = (await resultsOf('whole'))!;
  const of = (rowId: string) => results.filter(({ job }) => job.rowId === rowId);
  const looksOf = (rowId: string) =>
    of(rowId)[0]!
      .curve.filter(({ devUa }) => devUa !== null)
      .map(({ step }) => step);
  expect(looksOf('cnn-lstm')).toEqual([10, 20]);
  expect(looksOf('from-gender')).toEqual([20, 30]);
  const [progressive] = of('from-gender');
  const learnt = (part: string) => progressive!.curve.filter(({ losses }) => losses[part] !== null).map(({ step }) => step);
  expect(learnt('gender')).toEqual(Array.from({ length: 10 }, (_, at) => at + 1));
  expect(learnt('emotion')).toEqual(Array.from({ length: 20 }, (_, at) => at + 11));
  const tasksOf = (rowId: string) => of(rowId)[0]!.evaluations.map(({ task, split }) => `${task} ${split}`);
  expect(tasksOf('cnn-lstm')).toEqual(['emotion test']);
  expect(tasksOf('from-gender')).toEqual(['emotion test', 'gender test']);
  expect(tasksOf('from-speaker')).toEqual(['emotion test', 'speaker withheld']);
  expect(readFileSync(join(folder, 'whole/report.md'), 'utf8')).toContain('61.7');
  for (const rowId of ['cnn-lstm', 'from-gender', 'from-speaker', 'both'])
    expect(new Set(of(rowId).flatMap(({ predictions }) => predictions[0]!.rows.map(({ utteranceId }) => utteranceId))).size).toBe(
      utteranceCount,
    );
}, 300_000);

it('reaches the same numbers after a kill in each column and a resume', async () => {
  const work = join(folder, 'killed/work');
  const checkpoints = (): string[] =>
    existsSync(work) ? readdirSync(work, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('manifest.json')) : [];
  /** Kills all processes, or only the parent, once a checkpoint of this step exists. Workers without a parent end by themselves. */
  const killAt = async (step: string, { all = true, more = ['--resume'] } = {}): Promise<void> => {
    const { child, ended } = start('killed', '--jobs', '1', ...more);
    const before = new Set(checkpoints());
    const isThere = (): boolean => checkpoints().some((path) => path.includes(step) && !before.has(path));
    await expect.poll(isThere, { timeout: 200_000, interval: 5 }).toBe(true);
    process.kill(all ? -child.pid! : child.pid!, 'SIGKILL');
    await ended;
  };
  await killAt('000000010', { more: [] }); // of the CNN-LSTM, halfway
  await killAt('000000010', { all: false }); // of a first column, at its end
  await killAt('000000020'); // of a second column, halfway
  expect((await resultsOf('killed'))!.missing.length).toBeGreaterThan(0);
  const { code, text } = await start('killed', '--jobs', '2', '--resume').ended;
  expect(code, text).toBe(0);
  expect(text).toMatch(/[1-9]\d? jobs? of 12 finished earlier/);
  expect(numbers(await resultsOf('killed'))).toEqual(numbers(await resultsOf('whole')));
}, 600_000);
