/** Facts for the specs of rooms that fold them. Each differs from the others only by its id, unless a spec changes more. */
import type { ShardSealed } from './shards.js';
import type { UtteranceIngested } from './utterances.js';

const madeAt = '2026-01-01T00:00:00.000Z';

export const madeUtterance = (utteranceId: string, changes: Partial<UtteranceIngested> = {}): UtteranceIngested => ({
  utteranceId,
  version: 'v1',
  corpus: 'c',
  objectKey: `corpora/${utteranceId}`,
  etag: 'e',
  sizeBytes: 1,
  labels: {},
  split: 'train',
  withheld: false,
  silence: 'none',
  ingestedAt: madeAt,
  ...changes,
});

export interface MadeShard extends Partial<ShardSealed> {
  /** Tiles of each utterance. Default: 1. */
  tilesEach?: number;
  /** Duration of each utterance. Default: 1. */
  audioSec?: number;
}

/** @param ids utterances with their versions, in the order of their rows */
export const madeShard = (
  shardId: string,
  ids: readonly (readonly [utteranceId: string, version: string])[],
  { tilesEach = 1, audioSec = 1, ...changes }: MadeShard = {},
): ShardSealed => ({
  shardId,
  stream: 'labelled',
  objectKey: `shards/h/${shardId}.arrow`,
  sizeBytes: 1,
  settingsHash: 'h',
  tileCount: ids.length * tilesEach,
  utterances: ids.map(([utteranceId, version], at) => ({
    ...{ utteranceId, version, firstRow: at * tilesEach, tileCount: tilesEach, audioSec, cutSec: 0 },
  })),
  sealedAt: madeAt,
  ...changes,
});
