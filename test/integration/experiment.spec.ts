/** Runs the smallest `undertone experiment` on the sample corpora. experiment-baselines.spec.ts kills and resumes one. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readExperimentResults } from '#experiments/experiment-folder.js';
import { packageRoot } from '#service/package-root.js';
import { startExperiment } from './experiment-process.js';

const folder = mkdtempSync(join(tmpdir(), 'undertone-experiment-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(packageRoot, 'examples/sample-smoke.yaml');

const run = (out: string, ...more: string[]) => startExperiment(file, join(folder, out), ...more).ended;
const resultsOf = (out: string) => readExperimentResults(join(folder, out));

it('lists the jobs and their estimated time with --dry-run, and runs none', async () => {
  const { code, text } = await run('dry', '--dry-run');
  expect(text).toMatch(/9 jobs[\s\S]*3 folds, each speaker in one fold only[\s\S]*About .* with \d+ jobs? at a time/);
  expect(code).toBe(0);
  expect(existsSync(join(folder, 'dry'))).toBe(false);
});

it('runs the smallest sample experiment from its file to a report', async () => {
  const { code, text } = await run('whole', '--jobs', '2');
  expect(code, text).toBe(0);
  expect(text).toMatch(/AAE, gender and speaker +█+ +3 of 3 +WA [\d.]+ % +UA [\d.]+ %/);
  const results = await resultsOf('whole');
  expect(results).toMatchObject({
    isSynthetic: true,
    protocol: { folds: 3, stratification: 'speakers-apart', seeds: [1], steps: 40, searched: { alpha: false, beta: false } },
    missing: [],
  });
  const { rows, results: jobs, latents, reconstructions } = results!;
  expect(rows.map(({ id }) => id)).toEqual(['majority', 'functionals', 'both']);
  // Each row tests every utterance of the corpus once.
  for (const { id } of rows) {
    const tested = jobs
      .filter(({ job }) => job.rowId === id)
      .flatMap(({ predictions }) => predictions.find(({ task }) => task === 'emotion')?.rows ?? []);
    expect(new Set(tested.map(({ utteranceId }) => utteranceId)).size).toBe(432);
    expect(tested.length).toBe(432);
  }
  const majority = jobs.filter(({ job }) => job.rowId === 'majority').flatMap(({ evaluations }) => evaluations);
  expect(majority.map(({ ua }) => ua)).toEqual([0.25, 0.25, 0.25]);
  const [network] = jobs.filter(({ job }) => job.rowId === 'both');
  expect(network?.evaluations.map(({ task, split }) => `${task} ${split}`)).toEqual(['emotion test', 'gender test', 'speaker withheld']);
  expect(network?.curve.filter(({ devUa }) => devUa !== null).map(({ step }) => step)).toEqual([10, 20, 30, 40]);
  expect(network?.curve).toHaveLength(40);
  expect(latents.length).toBeGreaterThan(100);
  expect(reconstructions[0]?.shape).toEqual([16, 32]);
  expect(existsSync(join(folder, 'whole/results.json'))).toBe(true);
  expect(readdirSync(join(folder, 'whole/work'))).toEqual([]);
});

it('refuses a folder that holds an experiment already, unless it is to go on', async () => {
  expect(await run('whole')).toMatchObject({ code: 2, text: expect.stringContaining('Add --resume to continue the experiment in') });
  const { code, text } = await run('whole', '--resume');
  expect(text).toContain('9 jobs of 9 finished earlier');
  expect(code).toBe(0);
});
