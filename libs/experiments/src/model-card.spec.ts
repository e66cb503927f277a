import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FolderStore } from '#storage/folder-store.js';
import { crown } from '#evaluation/champions.js';
import { findCheckpoint, manifestKey, type Checkpoint } from '#rounds/checkpoint-store.js';
import { MadeModels } from '#rounds/made-models.fixture.js';
import { renderModelCard } from './model-card.js';
import { readModelCard, type ModelCardFacts } from './read-model-card.js';

let folder: string;
let store: FolderStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-card-'));
  store = new FolderStore(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

async function made(step: number, right: number | Record<string, number>): Promise<Checkpoint> {
  await new MadeModels(store).write({ step, right });
  return (await findCheckpoint(store, 'made', step)) as Checkpoint;
}

const factsOf = (checkpoint: Checkpoint, synthetic: string[] = []): Promise<ModelCardFacts> =>
  readModelCard(store, checkpoint, { syntheticCorpora: synthetic });

const crownIt = ({ runId, step, weights }: Checkpoint, after: number | null): Promise<unknown> =>
  crown(
    store,
    {
      target: 'emotion',
      model: { runId, step, manifestKey: manifestKey(runId, step), sha256: weights.sha256 },
      why: 'It is *better*.',
      by: 'evaluator',
    },
    { after },
  );

it('lists scores with intervals, chance level and calibration, on dev and on test', async () => {
  const card = renderModelCard(await factsOf(await made(100, { angry: 8, happy: 5, neutral: 8, sad: 8 })));
  // Every speaker answers alike, so the interval has no width; 29 of 40 are right, each at 0.7: ECE 2.5.
  expect(card).toContain('| Categorical emotion | dev | 240 | 6 | 72.5 | 72.5 | 72.5 to 72.5 | 25.0 | 2.5 |');
  expect(card).toContain('| Categorical emotion | test | 80 | 2 | 72.5 | 72.5 | – | 25.0 | 2.5 |');
  expect(card).toContain('- Categorical emotion, test: angry 80.0, happy 50.0, neutral 80.0, sad 80.0');
});

it('names its limits: few test speakers, and the class with the lowest recall', async () => {
  const card = renderModelCard(await factsOf(await made(100, { angry: 8, happy: 3, neutral: 8, sad: 8 })));
  expect(card).toContain('It was tested on 2 speakers, too few to predict its scores on other speakers.');
  expect(card).toContain('It misses happy most often: it recognises 30.0 % of these utterances.');
  expect(card).not.toMatch(/[Ss]ynthe/);
});

it('says that the model is, was or never was the champion', async () => {
  const [first, second] = [await made(100, 6), await made(200, 8)];
  expect(renderModelCard(await factsOf(first))).toContain('never was the champion');
  await crownIt(first, null);
  expect(renderModelCard(await factsOf(first))).toContain('It is champion 1, promoted by the evaluator on ');
  expect(renderModelCard(await factsOf(first))).toContain('It is \\*better\\*.');
  await crownIt(second, 1);
  expect(renderModelCard(await factsOf(first))).toContain('It was champion 1,');
});

it('lists the corpora that the model was trained on and marks the synthetic ones', async () => {
  const facts = await factsOf(await made(100, 8));
  const card = renderModelCard({
    ...facts,
    lineage: { byCorpus: { acted: 336, calls: 1200 }, parents: [{ ...facts.checkpoint, step: 50, round: 1 }] },
    speakersHeard: 14,
    syntheticCorpora: ['acted'],
  });
  expect(card).toContain('| acted | 336 |\n| calls | 1,200 |');
  expect(card).toContain('of 14 speakers known by name');
  expect(card).toContain('Descends from: step 50 (round 1).');
  expect(card.split('\n')[2]).toBe('> **Synthetic voices (acted): the scores below are no evidence about real emotion.**');
  expect(card).toContain('./undertone predict new.wav --model made/100');
});

it('does not mark a synthetic corpus that the model was not trained on', async () => {
  expect((await factsOf(await made(100, 8), ['acted'])).syntheticCorpora).toEqual([]);
});

it('says so if the model was never scored', async () => {
  const card = renderModelCard({ ...(await factsOf(await made(100, 8))), scores: [] });
  expect(card).toContain('It was never scored');
  expect(card).toContain('It was not scored on test speakers');
});
