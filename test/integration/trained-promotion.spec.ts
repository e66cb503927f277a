/**
 * Promotion with models of a real trainer: decided on dev speakers, compared with the champion on the same view, shown, used and
 * rolled back. The test does not check that such short training makes a model better.
 */
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import pino from 'pino';
import { afterEach, expect, it } from 'vitest';
import { corpusKey } from '#contracts/object-keys.js';
import type { PromotionFact } from '#contracts/promotions.js';
import { readPredictions, type PredictionRow } from '#evaluation/predictions-file.js';
import { predictions, type PredictionsWritten } from '#contracts/predictions.js';
import { promotions } from '#contracts/promotions.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { TableFollower } from '#streaming/table-follower.js';
import { currentChampion } from '#evaluation/champions.js';
import { undertone } from './command-line.js';
import { putMadeCorpus, toneWav } from './made-corpus.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
let follower: TableFollower | undefined;
afterEach(async () => {
  await follower?.stop();
  await pipeline.close();
});

const devSpeakers = 5;

it('decides about trained models on the same view, announces, shows and uses the champion, and rolls back', async () => {
  pipeline = new RunningPipeline({ ROUND_QUIET: '1', EARLY_STOPPING_PATIENCE: '0', PROMOTION_CONFIDENCE: '0.5' });
  await pipeline.prepare();
  const { store, overview } = pipeline;
  const written = new Map<number, PredictionsWritten>();
  const decided = new Map<number, PromotionFact>();
  const kafka = kafkaClient(readKafkaConnection(pipeline.environment), 'undertone-test', pino({ level: 'silent' }));
  follower = new TableFollower(kafka, pipeline.prefix, 'promotion-story', pino({ level: 'silent' }))
    .on(predictions, (_key, fact) => void (fact?.task === 'emotion' && written.set(fact.step, fact)))
    .on(promotions, (_key, fact) => {
      if (fact && (fact.type === 'ModelRejected' || fact.by === 'evaluator')) decided.set(fact.challenger.step, fact);
    });
  await follower.start();
  const { paths } = await putMadeCorpus(store, 'made', { speakers: 9, devSpeakers, each: 1 });
  pipeline.start('ingest', 'features', 'evaluator');
  await pipeline.until('all in shards', () => overview.reconcile().inShards === paths.length);
  pipeline.start('trainer');

  await pipeline.until('a decision on the first model', () => decided.has(20));
  const first = decided.get(20) as PromotionFact;
  expect(first).toMatchObject({ target: 'emotion', champion: null, comparison: { speakers: devSpeakers, champion: null } });
  expect(written.get(20)?.champion ?? null, 'there was none to compare with').toBeNull();
  expect(first.why).toContain(`on ${devSpeakers} dev speakers`);
  const runId = first.challenger.runId;
  if (first.type === 'ModelRejected') {
    expect(first).toMatchObject({ reason: 'not-above-chance' });
    expect(await undertone(pipeline, 'promote', `${runId}/20`, '--yes')).toMatchObject({ code: 0 });
  }
  expect(await currentChampion(store, 'emotion')).toMatchObject({ number: 1, model: { runId, step: 20 } });

  // One more recording of an unknown speaker gives another view with the same dev speakers.
  await store.put(corpusKey('late', 'u.wav'), toneWav({ pitchHz: 210 }));
  await pipeline.until('a decision on the second model', () => decided.has(40));
  const challenge = written.get(40) as PredictionsWritten;
  expect(challenge.champion).toMatchObject({ number: 1, runId, step: 20 });
  const rowsOf = async (objectKey = ''): Promise<PredictionRow[]> => readPredictions((await store.get(objectKey)).bytes);
  const dev = (await rowsOf(challenge.objectKey)).filter(({ split }) => split === 'dev');
  const ofChampion = await rowsOf(challenge.champion?.objectKey);
  const asked = (rows: PredictionRow[]) => rows.map(({ utteranceId, truth, split }) => `${utteranceId} ${truth} ${split}`).sort();
  expect(dev).toHaveLength(devSpeakers * 4);
  expect(asked(ofChampion), 'both were asked the same').toEqual(asked(dev));
  // The champion gives the same answers as before, because its own weights predict the same tiles.
  const before = new Map((await rowsOf(written.get(20)?.objectKey)).map((row) => [row.utteranceId, row.probabilities]));
  for (const { utteranceId, probabilities } of ofChampion) {
    for (const [index, share] of (before.get(utteranceId) ?? []).entries()) expect(probabilities[index]).toBeCloseTo(share, 3);
  }
  const second = decided.get(40) as PromotionFact;
  expect(second).toMatchObject({
    target: 'emotion',
    challenger: { runId, step: 40 },
    champion: { number: 1, runId, step: 20 },
    comparison: { speakers: devSpeakers, utterances: devSpeakers * 4, champion: { ua: expect.any(Number) as number } },
  });
  expect(second.why).toMatch(/against \d+\.\d % of champion 1 on 5 dev speakers, better with probability/);
  if (second.type === 'ModelRejected') expect(['not-better', 'recall-fell']).toContain(second.reason);

  // A person can override the decision.
  if (second.type === 'ModelRejected') expect(await undertone(pipeline, 'promote', `${runId}/40`, '--yes')).toMatchObject({ code: 0 });
  const { models } = (await undertone(pipeline, 'models', '--json')).json<{
    models: { step: number; champion: number | null; ua: object }[];
  }>();
  const scored = { dev: expect.any(Number) as number, test: expect.any(Number) as number };
  expect(models.map(({ step, champion, ua }) => ({ step, champion, ua })).sort((a, b) => a.step - b.step)).toEqual([
    { step: 20, champion: null, ua: scored },
    { step: 40, champion: 2, ua: scored },
  ]);
  expect(await undertone(pipeline, 'rollback')).toMatchObject({
    code: 0,
    text: expect.stringContaining(`${runId}/20 is champion 3 of emotion again; it was number 1 before`) as string,
  });
  await pipeline.until('the rollback to be announced', () => overview.promotionOf('emotion').champion?.number === 3);
  // The champion answers, not the newest model.
  const file = join(pipeline.logsDir, 'question.wav');
  writeFileSync(file, toneWav({ pitchHz: 180 }));
  const answer = await undertone(pipeline, 'predict', file, '--json');
  expect(answer, answer.errors).toMatchObject({ code: 0 });
  const { model, predictions: answers } = answer.json<{ model: object; predictions: { emotion: Record<string, number> }[] }>();
  expect(model).toEqual({ runId, step: 20, chosen: 'champion 3 of emotion' });
  expect(Object.values(answers[0]?.emotion ?? {}).reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 3);
  expect(overview.deadLetters).toEqual([]);
});
