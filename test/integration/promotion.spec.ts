/** Promotion on real components: the evaluator's process, the broker, the object store, and the command line. Only the models are made up. */
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { predictions, type PredictionsWritten } from '#contracts/predictions.js';
import { promotions, type PromotionFact } from '#contracts/promotions.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { TableFollower } from '#streaming/table-follower.js';
import { crown, listChampions } from '#evaluation/champions.js';
import { manifestKey } from '#rounds/checkpoint-store.js';
import { MadeModels } from '#rounds/made-models.fixture.js';
import { undertone as commandLine } from './command-line.js';
import { RunningPipeline } from './running-pipeline.js';

let pipeline: RunningPipeline;
let publisher: Publisher;
let follower: TableFollower;
let models: MadeModels;
/** All records of the topic, in order. */
let said: { key: string; fact: PromotionFact }[];

beforeEach(async () => {
  pipeline = new RunningPipeline();
  await pipeline.prepare();
  models = new MadeModels(pipeline.store);
  const kafka = kafkaOf(pipeline);
  publisher = new Publisher(kafka, pipeline.prefix);
  await publisher.connect();
  said = [];
  follower = new TableFollower(kafka, pipeline.prefix, 'promotions-test', logger).on(promotions, (key, fact) => {
    if (fact) said.push({ key, fact });
  });
  await follower.start();
});
afterEach(async () => {
  await follower.stop();
  await publisher.close();
  await pipeline.close();
});

async function announce(...facts: PredictionsWritten[]): Promise<void> {
  await publisher.publish(predictions, ...facts);
}

const logger = pino({ level: 'silent' });
const kafkaOf = ({ environment }: RunningPipeline) => kafkaClient(readKafkaConnection(environment), 'undertone-test', logger);
const saying = (text: string) => pipeline.until(text, () => saidOf().at(-1) === text);
const saidOf = (): string[] =>
  said.map(({ key, fact }) =>
    fact.type === 'ModelPromoted'
      ? `${key}: step ${fact.challenger.step} is ${fact.number}`
      : `${key}: step ${fact.challenger.step} is ${fact.reason}`,
  );

/** Waits until every record is taken and committed, so that the test can check that no further record comes. */
const allTaken = () =>
  pipeline.until(
    'all predictions taken',
    async () => (await undertone('status', '--json')).json<{ lag: { evaluator: number } }>().lag.evaluator === 0,
  );

const undertone = (...words: string[]) => commandLine(pipeline, ...words);

describe('promotion', () => {
  it('promotes only the better model, decides once despite repeated records, and shows the decision', async () => {
    pipeline.start('evaluator');
    const first = await models.write({ step: 100, right: 5 });
    const better = await models.write({ step: 300, right: 7, champion: { number: 1, step: 100, right: 5 } });
    await announce(first);
    await saying('emotion/champion: step 100 is 1');
    await announce(
      await models.write({ step: 200, right: { angry: 9, happy: 9, neutral: 9, sad: 3 }, champion: { number: 1, step: 100, right: 5 } }),
    );
    await saying('emotion/rejected: step 200 is recall-fell');
    await announce(better);
    await saying('emotion/champion: step 300 is 2');
    // This model was compared with the first champion, while the second was promoted.
    await announce(await models.write({ step: 400, right: 9, champion: { number: 1, step: 100, right: 5 } }));
    await saying('emotion/rejected: step 400 is stale');
    await announce(await models.write({ step: 500, right: 10, devSpeakers: 4, champion: { number: 2, step: 300, right: 7 } }));
    await saying('emotion/rejected: step 500 is too-few-speakers');
    const before = saidOf();
    await announce(first, better);
    await allTaken();
    expect(saidOf()).toEqual(before);
    expect((await listChampions(pipeline.store)).map(({ number, model }) => [number, model.step])).toEqual([
      [1, 100],
      [2, 300],
    ]);
    expect(said.at(-1)?.fact.why).toContain('There are 4 dev speakers');

    const status = await undertone('status');
    expect(status.text).toContain(
      'champion of emotion: made step 300 (number 2, dev UA 70.0 %); made step 500 was rejected: There are 4 dev speakers',
    );
    await pipeline.until('metrics', async () => {
      const metrics = await (await fetch(`${pipeline.url('evaluator')}/metrics`)).text();
      return [
        'undertone_evaluator_champion_ua_ratio{target="emotion",task="emotion",split="dev"} 0.7',
        'undertone_evaluator_champion_recall_ratio{target="emotion",task="emotion",split="dev",class="sad"} 0.7',
        'undertone_evaluator_champion_number{target="emotion"} 2',
        'undertone_evaluator_promotions_total{outcome="promoted"} 2',
        'undertone_evaluator_promotions_total{outcome="recall-fell"} 1',
      ].every((line) => metrics.includes(line));
    });
    const page = (await (await fetch(`${pipeline.url('evaluator')}/api/overview`)).json()) as { promotions: unknown };
    expect(page.promotions).toMatchObject([
      { target: 'emotion', champion: { number: 2 }, championUa: 0.7, rejected: { reason: 'too-few-speakers' } },
    ]);
  });

  it('announces a promotion at the next start if a kill -9 prevented it, and does not decide again', async () => {
    const fact = await models.write({ step: 100, right: 6 });
    // The state after a kill between the object and the announcement.
    const model = { runId: 'made', step: 100, manifestKey: manifestKey('made', 100), sha256: 'a'.repeat(64) };
    await crown(pipeline.store, { target: 'emotion', model, why: 'It was better.', by: 'evaluator' }, { after: null });
    pipeline.start('evaluator');
    await saying('emotion/champion: step 100 is 1');
    await announce(fact);
    await allTaken();
    expect(await listChampions(pipeline.store)).toHaveLength(1);
    expect(saidOf().every((each) => each === 'emotion/champion: step 100 is 1')).toBe(true);
  });

  it('makes one champion with two evaluators and a kill', async () => {
    const champion = { number: 1, step: 100, right: 3 };
    await models.write({ step: 100, right: 3 });
    const model = { runId: 'made', step: 100, manifestKey: manifestKey('made', 100), sha256: 'a'.repeat(64) };
    await crown(pipeline.store, { target: 'emotion', model, why: 'First.', by: 'person' }, { after: null });
    const facts = await Promise.all([200, 300, 400, 500].map((step) => models.write({ step, right: 6, champion })));
    // The second has its own topics and the same bucket, so both take every record, like a zombie and its successor.
    const other = new RunningPipeline({ S3_BUCKET: pipeline.prefix });
    try {
      await other.prepare();
      const second = new Publisher(kafkaOf(other), other.prefix);
      await second.connect();
      await announce(...facts);
      await second.publish(predictions, ...facts.toReversed());
      await second.close();
      pipeline.start('evaluator');
      other.start('evaluator');
      await pipeline.until('a second champion', async () => (await listChampions(pipeline.store)).length === 2);
      await pipeline.kill('evaluator');
      pipeline.start('evaluator');
      const rejected = async (): Promise<string[]> => {
        const keys: string[] = [];
        for await (const { key } of pipeline.store.list('state/rejections/')) keys.push(key);
        return keys;
      };
      await pipeline.until('all to be decided', async () => (await rejected()).length === 3);
      const champions = await listChampions(pipeline.store);
      const winner = champions[1]?.model.step;
      expect(champions).toHaveLength(2);
      for (const { overview } of [pipeline, other]) {
        await pipeline.until('both topics to say so', () => overview.promotionOf('emotion').champion?.number === 2);
        expect(overview.promotionOf('emotion').champion?.challenger.step).toBe(winner);
        await pipeline.until('a rejection on both', () => overview.promotionOf('emotion').rejected !== null);
      }
      for (const key of await rejected())
        expect(await pipeline.store.findJson(key)).toMatchObject({ reason: 'stale', champion: { number: 2, step: winner } });
      expect((await rejected()).map((key) => Number(/(\d+)\.json$/.exec(key)?.[1]))).toEqual(
        [200, 300, 400, 500].filter((step) => step !== winner),
      );
    } finally {
      await other.close();
    }
  });
});

describe('the command line', () => {
  it('promotes on request, rolls back, and lists champions', async () => {
    await models.write({ step: 100, right: 5 });
    await models.write({ step: 200, right: 6 });
    expect(await undertone('promote', 'made/999', '--yes')).toMatchObject({
      code: 2,
      errors: expect.stringContaining('There is no model made/999. `./undertone models` lists the models.'),
    });
    expect(await undertone('promote', 'made/100')).toMatchObject({ code: 2, errors: expect.stringContaining('Add --yes') });
    expect(await undertone('promote', 'made/100', '--yes')).toMatchObject({
      code: 0,
      text: expect.stringContaining('made/100 is champion 1 of emotion'),
    });
    expect((await undertone('promote', 'made/200', '--yes', '--why', 'Our calls.')).code).toBe(0);
    await saying('emotion/champion: step 200 is 2');
    expect(said.at(-1)?.fact).toMatchObject({ by: 'person', why: 'Our calls.', champion: { number: 1, step: 100 } });
    expect(await undertone('rollback')).toMatchObject({
      code: 0,
      text: expect.stringContaining('made/100 is champion 3 of emotion again; it was number 1 before'),
    });
    await saying('emotion/champion: step 100 is 3');
    expect(said.at(-1)?.fact).toMatchObject({ by: 'person', restores: 1 });
    expect((await undertone('models')).text).toMatch(/made +1 +100 .* emotion .* 40 \+ 2 +of emotion \(number 3\)\n.* 200 /);
  });

  it('refuses a model whose weights do not match its manifest', async () => {
    await models.write({ step: 100, right: 5 });
    for await (const { key } of pipeline.store.list('models/made/000000100/weights-')) await pipeline.store.put(key, 'spoilt');
    const { code, errors } = await undertone('promote', 'made/100', '--yes');
    expect([code, errors]).toEqual([1, expect.stringContaining('does not have the sha256 in its manifest')]);
    expect(await listChampions(pipeline.store)).toEqual([]);
  });
});
