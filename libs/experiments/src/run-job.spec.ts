/** A job on shards with one speaker each: the test utterances lie in shards that training never opens. */
import * as tf from '@tensorflow/tfjs';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { featureSettings } from '#audio/feature-settings.js';
import { type ShardRow, writeShard } from '#audio/shard/shard-file.js';
import { emotionCategories, genders } from '#contracts/labels.js';
import { chooseBackend } from '#tensor/backend.js';
import { FolderStore } from '#storage/folder-store.js';
import { TileStore } from '#rounds/tile-store.js';
import type { JobResult } from './experiment-results.js';
import { parseExperimentFile } from './experiment-file.js';
import { loadExperiment, tilesOfFolder } from './load-experiment.js';
import { runJob } from './run-job.js';

const folder = mkdtempSync(join(tmpdir(), 'undertone-job-'));
const shards = join(folder, 'shards');
const [rows, width] = [16, 32];
let tileStore: TileStore;

function shardOf(corpus: string, speaker: number): ShardRow[] {
  return emotionCategories.map((category, at) => ({
    tile: Uint8Array.from({ length: rows * width }, (_, pixel) => (pixel * (at + 2) * (speaker + 3)) % 251),
    utteranceId: `${corpus}/s${speaker}-${category}`,
    version: 'v1',
    tileIndex: 0,
    corpus,
    speaker: `${corpus}/s${speaker}`,
    gender: genders[speaker % 2] ?? null,
    category,
    activation: null,
    valence: null,
  }));
}

beforeAll(async () => {
  mkdirSync(shards);
  await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => undefined });
  for (const corpus of ['one', 'other'])
    for (let speaker = 0; speaker < 4; speaker++)
      writeFileSync(join(shards, `${corpus}-${speaker}.arrow`), writeShard(shardOf(corpus, speaker), featureSettings({ rows, width })));
  tileStore = new TileStore(new FolderStore(folder), null);
});
afterAll(async () => {
  await tileStore.close();
  rmSync(folder, { recursive: true });
});

/** @param more lines of the experiment's file @returns the result of its first job */
async function firstJob(more: string, workFolder: string): Promise<JobResult> {
  const text = `name: tiny
corpus: one
${more}folds: { count: 4, by: speaker }
model: { filters: [2, 2], pools: [[2, 4], [2, 2]], dense: 4, headFilters: 2 }
batch: { labelled: 4, unlabelled: 2 }
steps: 2
checkEvery: 1
statisticsTiles: 8
references: []
rows: [{ id: aae, system: aae, auxiliary: [gender] }]
`;
  const file = parseExperimentFile(text, 'tiny.yaml');
  const { plan } = loadExperiment(file, tilesOfFolder(shards), { search: more.includes('search') });
  const [planned] = plan.jobs;
  const { result } = await runJob(planned!, {
    file,
    view: plan.viewOf(planned!.job),
    tileStore,
    workFolder: join(folder, workFolder),
    machine: 'this one',
    isShowcase: true,
    onProgress: () => undefined,
  });
  return result;
}

it.each([
  ['a fold', '', 4],
  ['all of another corpus', 'testCorpus: other\n', 16],
])(
  'is tested on %s',
  async (_what, more, count) => {
    const result = await firstJob(more, `work-${count}`);
    const tested = result.evaluations.filter(({ split }) => split === 'test').map(({ task, n }) => [task, n]);
    expect(tested).toEqual([
      ['emotion', count],
      ['gender', count],
    ]);
  },
  60_000,
);

it('leaks no tensors, however many candidates it tries', async () => {
  const held = (): number[] => [tf.memory().numTensors, tf.memory().numBytes];
  const before = held();
  await firstJob('search: { alpha: [0.3, 0.7] }\n', 'one-of-two');
  expect(held()).toEqual(before);
  await firstJob('search: { alpha: [0.3, 0.7] }\n', 'another-of-two');
  expect(held()).toEqual(before);
}, 60_000);
