import { describe, expect, it } from 'vitest';
import type { DeadLetter } from '#contracts/dead-letters.js';
import type { ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { PipelineOverview } from './pipeline-overview.js';

const utterance = (utteranceId: string, version = 'v1'): UtteranceIngested => ({
  utteranceId,
  version,
  corpus: 'c',
  objectKey: `corpora/${utteranceId}`,
  etag: 'e',
  sizeBytes: 1,
  labels: {},
  split: 'train',
  withheld: false,
  silence: 'none',
  ingestedAt: '2026-01-01T00:00:00.000Z',
});

const shard = (shardId: string, ...ids: [string, string][]): ShardSealed => ({
  shardId,
  stream: 'unlabelled',
  objectKey: `shards/h/${shardId}.arrow`,
  sizeBytes: 1,
  settingsHash: 'h',
  tileCount: ids.length,
  utterances: ids.map(([utteranceId, version], firstRow) => ({ utteranceId, version, firstRow, tileCount: 1, audioSec: 2, cutSec: 0 })),
  sealedAt: '2026-01-01T00:00:00.000Z',
});

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
  it('counts an utterance once, wherever and however often it was seen', () => {
    const overview = new PipelineOverview();
    for (const id of ['c/a', 'c/b', 'c/c']) overview.applyUtterance(id, utterance(id));
    overview.applyShard('1', shard('1', ['c/a', 'v1']));
    overview.applyShard('2', shard('2', ['c/a', 'v1']));
    overview.applyDeadLetter(letter('features', 'c/b', 'v1'));
    overview.applyDeadLetter(letter('features', 'c/b', 'v1'));
    expect(overview.reconcile()).toEqual({ utterances: 3, inShards: 1, deadLettered: 1, inFlight: ['c/c'] });
    expect(overview.snapshot().streams.unlabelled.tiles).toBe(1);
  });

  it('lets tiles and dead letters of an older version count for nothing', () => {
    const overview = new PipelineOverview();
    overview.applyUtterance('c/a', utterance('c/a', 'v2'));
    overview.applyShard('1', shard('1', ['c/a', 'v1']));
    overview.applyDeadLetter(letter('features', 'c/a', 'v1'));
    expect(overview.reconcile().inFlight).toEqual(['c/a']);
  });

  it('takes back what a withdrawn shard held, unless another shard holds it too', () => {
    const overview = new PipelineOverview();
    for (const id of ['c/a', 'c/b']) overview.applyUtterance(id, utterance(id));
    overview.applyShard('1', shard('1', ['c/a', 'v1'], ['c/b', 'v1']));
    overview.applyShard('2', shard('2', ['c/b', 'v1']));
    overview.applyShard('1', null);
    expect(overview.reconcile()).toMatchObject({ inShards: 1, inFlight: ['c/a'] });
  });

  it('forgets what was deleted, and counts what ingest itself put aside', () => {
    const overview = new PipelineOverview();
    overview.applyUtterance('c/a', utterance('c/a'));
    overview.applyShard('1', shard('1', ['c/a', 'v1']));
    overview.applyUtterance('c/a', null);
    overview.applyDeadLetter(letter('ingest', 'c/x'));
    expect(overview.reconcile()).toEqual({ utterances: 1, inShards: 0, deadLettered: 1, inFlight: [] });
  });
});
