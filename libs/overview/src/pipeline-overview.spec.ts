import { describe, expect, it } from 'vitest';
import type { DeadLetter } from '#contracts/dead-letters.js';
import { madeShard, madeUtterance } from '#contracts/made-facts.fixture.js';
import type { ModelPromoted, ModelRejected } from '#contracts/promotions.js';
import type { ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { PipelineOverview } from './pipeline-overview.js';

const utterance = (utteranceId: string, version = 'v1'): UtteranceIngested => madeUtterance(utteranceId, { version });
const shard = (shardId: string, ...ids: [string, string][]): ShardSealed => madeShard(shardId, ids, { stream: 'unlabelled', audioSec: 2 });

const letter = (stage: DeadLetter['stage'], utteranceId: string, version?: string): DeadLetter => ({
  stage,
  code: 'AUDIO_EMPTY',
  message: 'm',
  origin: { topic: 't', partition: 0, offset: '0', keyBase64: null, valueBase64: null },
  utteranceId,
  version,
  failedAt: '2026-01-01T00:00:00.000Z',
});

describe('reconciliation', () => {
  it('counts an utterance once, however many shards hold it', () => {
    const overview = new PipelineOverview();
    for (const id of ['c/a', 'c/b', 'c/c']) overview.applyUtterance(id, utterance(id));
    overview.applyShard('1', shard('1', ['c/a', 'v1']));
    overview.applyShard('2', shard('2', ['c/a', 'v1']));
    overview.applyDeadLetter(letter('features', 'c/b', 'v1'));
    overview.applyDeadLetter(letter('features', 'c/b', 'v1'));
    expect(overview.reconcile()).toEqual({ utterances: 3, inShards: 1, deadLettered: 1, inFlight: ['c/c'] });
    expect(overview.snapshot().streams.unlabelled.tiles).toBe(1);
  });

  it('ignores tiles and dead letters of an older version', () => {
    const overview = new PipelineOverview();
    overview.applyUtterance('c/a', utterance('c/a', 'v2'));
    overview.applyShard('1', shard('1', ['c/a', 'v1']));
    overview.applyDeadLetter(letter('features', 'c/a', 'v1'));
    expect(overview.reconcile().inFlight).toEqual(['c/a']);
  });

  it('subtracts the utterances of a withdrawn shard, unless another shard holds them', () => {
    const overview = new PipelineOverview();
    for (const id of ['c/a', 'c/b']) overview.applyUtterance(id, utterance(id));
    overview.applyShard('1', shard('1', ['c/a', 'v1'], ['c/b', 'v1']));
    overview.applyShard('2', shard('2', ['c/b', 'v1']));
    overview.applyShard('1', null);
    expect(overview.reconcile()).toMatchObject({ inShards: 1, inFlight: ['c/a'] });
  });

  it('counts tiles under the current feature settings; an utterance with only older tiles is in flight', () => {
    const overview = new PipelineOverview();
    for (const id of ['c/a', 'c/b', 'c/bad']) overview.applyUtterance(id, utterance(id), { partition: 1, offset: '7' });
    overview.applyShard('1', shard('1', ['c/a', 'v1'], ['c/b', 'v1']));
    overview.applyDeadLetter({ ...letter('features', 'c/bad', 'v1'), settingsHash: 'h' });
    const uses = (settingsHash: string) =>
      overview.applySettings({ default: { settingsHash, tile: [128, 256] }, corpora: {}, chosenAt: '2026-01-01T00:00:00.000Z' });
    uses('h');
    expect(overview.reconcile()).toMatchObject({ inShards: 2, deadLettered: 1, inFlight: [] });
    expect(overview.snapshot().moves).toEqual([]);
    uses('new');
    overview.applyShard('2', { ...shard('2', ['c/a', 'v1']), settingsHash: 'new' });
    expect(overview.reconcile()).toMatchObject({ inShards: 1, deadLettered: 0, inFlight: ['c/b', 'c/bad'] });
    expect(overview.snapshot().moves).toEqual([{ corpus: 'c', settingsHash: 'new', covered: 1, live: 3 }]);
    expect(overview.coverageUnder('c', 'new')).toMatchObject({ live: 3, covered: 1, missingAudioSec: 2 });
    // The trainer still learns from the older tiles.
    expect(overview.snapshot().streams.unlabelled.tiles).toBe(2);
    overview.applyDeadLetter({ ...letter('features', 'c/bad', 'v1'), settingsHash: 'new' });
    expect(overview.reconcile()).toMatchObject({ deadLettered: 1, inFlight: ['c/b'] });
    expect(overview.deadLetters).toHaveLength(1);
    uses('h');
    expect(overview.reconcile()).toMatchObject({ inShards: 2, deadLettered: 1, inFlight: [] });
    expect(overview.placeOf('c/a')).toEqual({ partition: 1, offset: '7' });
  });

  it('does not report a new corpus as being reprocessed', () => {
    const overview = new PipelineOverview();
    overview.applyUtterance('c/a', utterance('c/a'));
    overview.applySettings({ default: { settingsHash: 'h', tile: [128, 256] }, corpora: {}, chosenAt: '2026-01-01T00:00:00.000Z' });
    expect(overview.snapshot().moves).toEqual([]);
    expect(overview.reconcile().inFlight).toEqual(['c/a']);
  });

  it('drops deleted utterances, and counts those that ingest itself dead-lettered', () => {
    const overview = new PipelineOverview();
    overview.applyUtterance('c/a', utterance('c/a'));
    overview.applyShard('1', shard('1', ['c/a', 'v1']));
    overview.applyUtterance('c/a', null);
    overview.applyDeadLetter(letter('ingest', 'c/x'));
    expect(overview.reconcile()).toEqual({ utterances: 1, inShards: 0, deadLettered: 1, inFlight: [] });
  });
});

describe('the newest trainable utterance', () => {
  it('is neither held out nor deleted', () => {
    const overview = new PipelineOverview();
    expect(overview.newestTrainableAt).toBeNull();
    const at = (day: number): string => `2026-01-0${day}T00:00:00.000Z`;
    for (const [id, day] of [
      ['c/a', 1],
      ['c/b', 2],
      ['c/c', 3],
    ] as const)
      overview.applyUtterance(id, { ...utterance(id), ingestedAt: at(day) });
    overview.applyUtterance('c/dev', { ...utterance('c/dev'), split: 'dev', ingestedAt: at(4) });
    overview.applyUtterance('c/c', null);
    expect(overview.newestTrainableAt).toBe(at(2));
  });
});

describe('promotions', () => {
  const base = { target: 'emotion', comparison: null, at: '2026-01-01T00:00:00.000Z', why: 'w' } as const;
  const promoted = (number: number, step: number): ModelPromoted => ({
    ...base,
    type: 'ModelPromoted',
    number,
    challenger: { runId: 'r', step },
    champion: null,
    by: 'evaluator',
  });
  const rejected = (step: number, second: number): ModelRejected => ({
    ...base,
    type: 'ModelRejected',
    challenger: { runId: 'r', step },
    champion: null,
    reason: 'not-better',
    devSpeakers: 6,
    confidence: 0.95,
    maxRecallFallPoints: 10,
    at: `2026-01-01T00:00:0${second}.000Z`,
  });

  it('end in the champion with the highest number and the latest rejection, in any order of records', () => {
    const facts = [promoted(1, 10), rejected(20, 1), promoted(3, 30), rejected(40, 2)];
    for (const order of [facts, facts.toReversed(), [...facts, ...facts]]) {
      const overview = new PipelineOverview();
      for (const fact of order) overview.applyPromotion(fact);
      expect(overview.snapshot().promotions).toMatchObject([
        { target: 'emotion', champion: { number: 3, challenger: { step: 30 } }, rejected: { challenger: { step: 40 } } },
      ]);
    }
  });

  it('show the UA of the champion, not of the newest model, and null if it is unknown', () => {
    const overview = new PipelineOverview();
    overview.applyPromotion(promoted(1, 10));
    expect(overview.promotionOf('emotion').championUa).toBeNull();
    const scored = { runId: 'r', task: 'emotion', split: 'dev', n: 1, speakers: 1, wa: 0.5, uaInterval: null, recall: {} } as const;
    const rest = { classes: [], confusion: [], viewDigest: 'd', evaluatedAt: base.at };
    overview.applyEvaluation({ ...scored, ...rest, step: 10, ua: 0.6 });
    overview.applyEvaluation({ ...scored, ...rest, step: 20, ua: 0.9 });
    expect(overview.promotionOf('emotion').championUa).toBe(0.6);
    expect(new PipelineOverview().snapshot().promotions).toEqual([]);
  });

  it('show all scores of the champion, or the scores of its promotion if it was never scored', () => {
    const overview = new PipelineOverview();
    const comparison: ModelPromoted['comparison'] = {
      challenger: { ua: 0.5, recall: { sad: 0.4 } },
      champion: null,
      chance: 0.25,
      difference: 0.25,
      interval: [0.1, 0.4],
      probability: 0.99,
      largestFall: null,
      utterances: 8,
      speakers: 5,
    };
    overview.applyPromotion({ ...promoted(1, 10), comparison });
    expect(overview.championScores('emotion')).toEqual([{ task: 'emotion', split: 'dev', wa: null, ua: 0.5, recall: { sad: 0.4 } }]);
    const scored = {
      runId: 'r',
      step: 10,
      n: 1,
      speakers: 1,
      wa: 0.7,
      ua: 0.6,
      uaInterval: null,
      classes: [],
      confusion: [],
      viewDigest: 'd',
    };
    for (const [task, split] of [
      ['emotion', 'dev'],
      ['speaker', 'withheld'],
    ] as const)
      overview.applyEvaluation({ ...scored, task, split, recall: { x: 0.5 }, evaluatedAt: base.at });
    overview.applyEvaluation({ ...scored, step: 20, task: 'emotion', split: 'dev', recall: {}, evaluatedAt: base.at });
    expect(overview.championScores('emotion')).toEqual([
      { task: 'emotion', split: 'dev', wa: 0.7, ua: 0.6, recall: { x: 0.5 } },
      { task: 'speaker', split: 'withheld', wa: 0.7, ua: 0.6, recall: {} },
    ]);
    expect(overview.championScores('valence')).toEqual([]);
  });
});
