import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { CheckpointSaved } from '#contracts/checkpoints.js';
import type { ModelEvaluated } from '#contracts/evaluations.js';
import type { ModelPromoted } from '#contracts/promotions.js';
import { PipelineOverview } from '#overview/pipeline-overview.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { Metrics } from '#service/metrics.js';
import { FolderStore } from '#storage/folder-store.js';
import { MadeModels } from '#rounds/made-models.fixture.js';
import { manifestKey } from '#rounds/checkpoint-store.js';
import { ModelMetrics } from './model-metrics.js';

let folder: string;
let store: FolderStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-model-metrics-'));
  store = new FolderStore(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = '2026-01-01T00:00:00.000Z';
const scores = (step: number, of: Pick<ModelEvaluated, 'task' | 'split' | 'ua' | 'recall'>): ModelEvaluated => ({
  runId: 'made',
  step,
  n: 1,
  speakers: 1,
  wa: 0.5,
  uaInterval: null,
  classes: [],
  confusion: [],
  viewDigest: 'd',
  evaluatedAt: `2026-01-01T00:00:${step}.000Z`,
  ...of,
});
const promoted = (number: number, step: number): ModelPromoted => ({
  type: 'ModelPromoted',
  target: 'emotion',
  number,
  challenger: { runId: 'made', step },
  champion: null,
  comparison: null,
  why: 'w',
  by: 'person',
  at,
});

/** Stores a model that was trained on everything ingested up to a time. */
async function putModel(step: number, newestAt: string): Promise<void> {
  await new MadeModels(store).write({ step, right: 5 });
  const manifest = (await store.findJson(manifestKey('made', step))) as { view: object };
  await store.put(manifestKey('made', step), JSON.stringify({ ...manifest, view: { ...manifest.view, newestAt } }));
}

it('exports the newest model and the champion, and drops a replaced champion', async () => {
  const overview = new PipelineOverview();
  const metrics = new Metrics('evaluator');
  const shown = new ModelMetrics(metrics, overview, store);
  const lines = async (): Promise<string[]> => {
    await shown.update(overview.snapshot());
    const text = await metrics.registry.metrics();
    return text.split('\n').filter((line) => /^undertone_evaluator_/.test(line));
  };
  expect(await lines(), 'unknown values are not exported').toEqual([]);

  overview.applyEvaluation(scores(10, { task: 'emotion', split: 'dev', ua: 0.6, recall: { sad: 0.6, happy: null } }));
  overview.applyEvaluation(scores(10, { task: 'gender', split: 'test', ua: 0.9, recall: { male: 0.9 } }));
  const byGender = { female: { n: 1, speakers: 1, ua: 0.4, uaInterval: null } };
  const spread = { speakers: 2, median: 0.6, worst: 0.3, worstSpeaker: 'c/s' };
  overview.applyEvaluation({ ...scores(20, { task: 'emotion', split: 'dev', ua: 0.7, recall: { sad: 0.7 } }), byGender, spread });
  overview.applyEvaluation(scores(20, { task: 'speaker', split: 'withheld', ua: 0.2, recall: { 'c/anna': 0.2 } }));
  await putModel(10, '2026-01-01T00:00:00.000Z');
  overview.applyPromotion(promoted(1, 10));
  overview.applyCheckpoint({ savedAt: at, newestUtteranceAt: '2026-01-01T01:00:00.000Z' } as CheckpointSaved);
  const first = await lines();
  expect(first).toEqual(
    expect.arrayContaining([
      'undertone_evaluator_ua_ratio{task="emotion",split="dev"} 0.7',
      'undertone_evaluator_recall_ratio{task="emotion",split="dev",class="sad"} 0.7',
      'undertone_evaluator_gender_ua_ratio{task="emotion",split="dev",gender="female"} 0.4',
      'undertone_evaluator_speaker_ua_ratio{task="emotion",split="dev",statistic="worst"} 0.3',
      'undertone_evaluator_champion_ua_ratio{target="emotion",task="emotion",split="dev"} 0.6',
      'undertone_evaluator_champion_wa_ratio{target="emotion",task="gender",split="test"} 0.5',
      'undertone_evaluator_champion_recall_ratio{target="emotion",task="emotion",split="dev",class="sad"} 0.6',
      'undertone_evaluator_champion_number{target="emotion"} 1',
      `undertone_evaluator_model_newest_utterance_timestamp_seconds ${Date.parse('2026-01-01T01:00:00Z') / 1000}`,
      `undertone_evaluator_champion_newest_utterance_timestamp_seconds{target="emotion"} ${Date.parse(at) / 1000}`,
    ]),
  );
  expect(first.join('\n'), 'speakers are never label values').not.toContain('anna');

  await putModel(20, '2026-01-01T01:00:00.000Z');
  overview.applyPromotion(promoted(2, 20));
  const second = (await lines()).filter((line) => line.startsWith('undertone_evaluator_champion_'));
  expect(second).toContain('undertone_evaluator_champion_ua_ratio{target="emotion",task="emotion",split="dev"} 0.7');
  expect(second).toContain(
    `undertone_evaluator_champion_newest_utterance_timestamp_seconds{target="emotion"} ${Date.parse('2026-01-01T01:00:00Z') / 1000}`,
  );
  expect(second.join('\n'), 'only champion 1 had gender scores').not.toContain('task="gender"');
});

it('tries an unreadable manifest again, and exports the rest meanwhile', async () => {
  const overview = new PipelineOverview();
  overview.applyPromotion(promoted(1, 10));
  const metrics = new Metrics('evaluator');
  let isAway = true;
  const shown = new ModelMetrics(metrics, overview, {
    findJson: (key) => (isAway ? Promise.reject(new PipelineError('STORAGE_UNAVAILABLE', 'away')) : store.findJson(key)),
  });
  await putModel(10, at);
  await expect(shown.update(overview.snapshot())).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  expect(await metrics.registry.metrics()).toContain('undertone_evaluator_champion_number{target="emotion"} 1');
  isAway = false;
  await shown.update(overview.snapshot());
  expect(await metrics.registry.metrics()).toContain('champion_newest_utterance_timestamp_seconds{target="emotion"}');
});
