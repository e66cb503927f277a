/** Makes records like those of LibriSpeech, without audio. */
import { createHash } from 'node:crypto';
import type { ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';

export const UTTERANCES_PER_SHARD = 400;
const SPEAKERS = 2_500;
const SETTINGS = createHash('sha256').update('settings').digest('hex').slice(0, 16);
const madeAt = '2026-01-01T00:00:00.000Z';

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
const speakerOf = (number: number): number => Math.floor(number / UTTERANCES_PER_SHARD) % SPEAKERS;
const idOf = (number: number): string => `libri/train/${speakerOf(number)}/${number % 97}/${speakerOf(number)}-${number}.flac`;
const versionOf = (number: number): string => digest(`version ${number}`).slice(0, 16);

export function madeUtterance(number: number): UtteranceIngested {
  const utteranceId = idOf(number);
  const speaker = speakerOf(number);
  return {
    utteranceId,
    version: versionOf(number),
    corpus: 'libri',
    objectKey: `corpora/${utteranceId}`,
    etag: digest(`etag ${number}`).slice(0, 32),
    sizeBytes: 250_000,
    labels: { speakerId: `libri/${speaker}`, gender: speaker % 2 ? 'female' : 'male' },
    split: speaker % 10 === 0 ? 'dev' : 'train',
    withheld: speaker % 10 !== 0 && number % 10 === 0,
    silence: 'ends',
    ingestedAt: madeAt,
  };
}

/** @param count of all utterances; the last shard may hold fewer */
export function madeShard(shard: number, count: number): ShardSealed {
  const shardId = digest(`shard ${shard}`);
  const first = shard * UTTERANCES_PER_SHARD;
  const rows = Array.from({ length: Math.min(UTTERANCES_PER_SHARD, count - first) }, (_, at) => first + at);
  return {
    shardId,
    stream: 'unlabelled',
    objectKey: `shards/${SETTINGS}/${shardId}.arrow`,
    sizeBytes: 80_000_000,
    settingsHash: SETTINGS,
    tile: [128, 256],
    tileCount: rows.length * 6,
    utterances: rows.map((number, at) => ({
      utteranceId: idOf(number),
      version: versionOf(number),
      firstRow: at * 6,
      tileCount: 6,
      audioSec: 14.1,
      cutSec: 0.3,
    })),
    sealedAt: madeAt,
  };
}
