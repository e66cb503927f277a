import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PredictionsWritten } from '#contracts/predictions.js';
import type { ModelPromoted, PromotionFact } from '#contracts/promotions.js';
import { PipelineOverview } from '#overview/pipeline-overview.js';
import { FolderStore } from '#storage/folder-store.js';
import { crown, currentChampion, listChampions } from '#evaluation/champions.js';
import { MadeModels } from '#rounds/made-models.fixture.js';
import { Promoter } from './promote-models.js';

let folder: string;
let store: FolderStore;
let models: MadeModels;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-promoter-'));
  store = new FolderStore(folder);
  models = new MadeModels(store);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The promoter of one evaluator, with the topic that it writes to and reads. */
function promoter(topic = new PipelineOverview()) {
  const published: PromotionFact[] = [];
  const decided: PromotionFact[] = [];
  return {
    topic,
    published,
    decided,
    promoter: new Promoter({
      store,
      settings: { confidence: 0.95, maxRecallFallPoints: 10 },
      publish: async (fact) => {
        published.push(fact);
        topic.applyPromotion(fact);
        await Promise.resolve();
      },
      announced: (target) => topic.promotionOf(target),
      onDecision: (fact) => decided.push(fact),
    }),
  };
}

const saidOf = (facts: PromotionFact[]): string[] =>
  facts.map((fact) =>
    fact.type === 'ModelPromoted' ? `${fact.number}: ${fact.challenger.step}` : `${fact.reason}: ${fact.challenger.step}`,
  );

describe('the promoter', () => {
  it('promotes the first model above chance, then a better one, and names the champion it was compared with', async () => {
    const { promoter: one, published } = promoter();
    await one.consider(await models.write({ step: 100, right: 5 }));
    await one.consider(await models.write({ step: 200, right: 8, champion: { number: 1, step: 100, right: 5 } }));
    expect(saidOf(published)).toEqual(['1: 100', '2: 200']);
    expect(published[1]).toMatchObject({ champion: { number: 1, runId: 'made', step: 100 }, by: 'evaluator' });
    expect(await currentChampion(store, 'emotion')).toMatchObject({
      number: 2,
      model: { step: 200, manifestKey: 'models/made/000000200/manifest.json' },
    });
  });

  it('decides nothing about other heads', async () => {
    const { promoter: one, published } = promoter();
    await one.consider({ ...(await models.write({ step: 100, right: 9 })), task: 'gender' });
    expect(published).toEqual([]);
  });

  it('decides once about repeated predictions, promoted or rejected', async () => {
    const { promoter: one, published, decided } = promoter();
    const first = await models.write({ step: 100, right: 5 });
    const worse = await models.write({ step: 200, right: 4, champion: { number: 1, step: 100, right: 5 } });
    const better = await models.write({ step: 300, right: 8, champion: { number: 1, step: 100, right: 5 } });
    for (const fact of [first, worse, better]) await one.consider(fact);
    const before = [...published];
    expect(saidOf(before)).toEqual(['1: 100', 'not-better: 200', '2: 300']);
    for (const fact of [first, worse, better]) await one.consider(fact);
    expect(published).toEqual(before);
    expect(decided).toHaveLength(3);
    expect(await listChampions(store)).toHaveLength(2);
  });

  it('does not promote again what a person has rolled back', async () => {
    const { promoter: one } = promoter();
    const better = await models.write({ step: 200, right: 8, champion: { number: 1, step: 100, right: 5 } });
    await one.consider(await models.write({ step: 100, right: 5 }));
    await one.consider(better);
    const [first] = await listChampions(store);
    await crown(store, { target: 'emotion', model: first!.model, why: 'No.', by: 'person', restores: 1 }, { after: 2 });
    await one.consider(better);
    expect(await currentChampion(store, 'emotion')).toMatchObject({ number: 3, model: { step: 100 } });
  });

  it('announces an unannounced champion at start, and an unannounced rejection when its predictions come again', async () => {
    const silent = new Promoter({
      store,
      settings: { confidence: 0.95, maxRecallFallPoints: 10 },
      publish: () => Promise.reject(new Error('killed')),
      announced: () => ({ champion: null, rejected: null }),
      onDecision: () => undefined,
    });
    await expect(silent.consider(await models.write({ step: 100, right: 5 }))).rejects.toThrow('killed');
    const worse = await models.write({ step: 200, right: 4, champion: { number: 1, step: 100, right: 5 } });
    await expect(silent.consider(worse)).rejects.toThrow('killed');
    const { promoter: next, published } = promoter();
    await next.announceChampions();
    expect(saidOf(published)).toEqual(['1: 100']);
    await next.consider(worse);
    expect(saidOf(published)).toEqual(['1: 100', 'not-better: 200']);
  });

  it('announces the champion of the bucket again over a forged announcement, whatever number that has', async () => {
    const { promoter: honest, published: first } = promoter();
    await honest.consider(await models.write({ step: 100, right: 5 }));
    const real = first[0] as ModelPromoted;
    for (const number of [1e9, 0.5]) {
      const forged: ModelPromoted = { ...real, number, challenger: { runId: 'forged', step: 999 } };
      const published: PromotionFact[] = [];
      let announced: ModelPromoted = forged;
      const corrector = new Promoter({
        store,
        settings: { confidence: 0.95, maxRecallFallPoints: 10 },
        publish: (fact) => {
          published.push(fact);
          if (fact.type === 'ModelPromoted') announced = fact;
          return Promise.resolve();
        },
        announced: () => ({ champion: announced, rejected: null }),
        onDecision: () => undefined,
      });
      await corrector.correctAnnouncements();
      await corrector.correctAnnouncements();
      expect(saidOf(published)).toEqual(['1: 100']);
    }
  });

  it('makes one champion when two evaluators decide about different models at once; the other is stale', async () => {
    const [one, two] = [promoter(), promoter()];
    await one.promoter.consider(await models.write({ step: 100, right: 4 }));
    const champion = { number: 1, step: 100, right: 4 };
    const facts = await Promise.all([models.write({ step: 200, right: 7, champion }), models.write({ step: 300, right: 8, champion })]);
    await Promise.all([one.promoter.consider(facts[0]), two.promoter.consider(facts[1])]);
    expect(await listChampions(store)).toHaveLength(2);
    const said = [...one.decided, ...two.decided].slice(1).map((fact) => (fact.type === 'ModelPromoted' ? 'promoted' : fact.reason));
    expect(said.sort()).toEqual(['promoted', 'stale']);
  });

  it('promotes a model once and never rejects it when two evaluators decide about it at once', async () => {
    const [one, two] = [promoter(), promoter()];
    const fact = await models.write({ step: 100, right: 6 });
    await Promise.all([one.promoter.consider(fact), two.promoter.consider(fact)]);
    expect(await listChampions(store)).toHaveLength(1);
    expect(saidOf([...one.decided, ...two.decided])).toEqual(['1: 100']);
  });

  it('announces the newest champion last, even if it was crowned during another announcement', async () => {
    const topic = new PipelineOverview();
    const published: number[] = [];
    const slow = new Promoter({
      store,
      settings: { confidence: 0.95, maxRecallFallPoints: 10 },
      publish: async (fact) => {
        if (fact.type === 'ModelPromoted') published.push(fact.number);
        const [first] = await listChampions(store);
        if (published.length === 1)
          await crown(store, { target: 'emotion', model: first!.model, why: 'Again.', by: 'person' }, { after: 1 });
      },
      announced: (target) => topic.promotionOf(target),
      onDecision: () => undefined,
    });
    await slow.consider(await models.write({ step: 100, right: 6 }));
    expect(published).toEqual([1, 2]);
  });

  it.each([
    ['the champion’s predictions are gone', 'OBJECT_GONE', (fact: PredictionsWritten) => store.delete(fact.champion!.objectKey)],
    [
      'the champion’s predictions are other bytes',
      'OBJECT_CHECKSUM_MISMATCH',
      (fact: PredictionsWritten) => store.put(fact.champion!.objectKey, 'x'),
    ],
    [
      'the predictions belong to another model than the champion',
      'RECORD_INVALID',
      (fact: PredictionsWritten) => Promise.resolve((fact.champion!.step = 7)),
    ],
    ['the challenger has no manifest', 'OBJECT_GONE', () => store.delete('models/made/000000200/manifest.json')],
  ])('decides nothing if %s', async (_name, code, spoil) => {
    const { promoter: one, decided } = promoter();
    await one.consider(await models.write({ step: 100, right: 5 }));
    const fact = await models.write({ step: 200, right: 8, champion: { number: 1, step: 100, right: 5 } });
    await spoil(fact);
    await expect(one.consider(fact)).rejects.toMatchObject({ code });
    expect(decided).toHaveLength(1);
  });
});
