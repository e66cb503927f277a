/** Sealed shards of spectrogram tiles: the claim checks that the trainer redeems from the object store. */
import { z } from 'zod';
import { streams, type Stream } from './labels.js';
import { shardKey } from './object-keys.js';
import { compacted, type Topic } from './topic.js';

/** Both are names in keys and in file names: nothing but digits of a digest may stand there. */
const shardIdSchema = z.string().regex(/^[0-9a-f]{64}$/, 'is not a sha256 in 64 hexadecimal digits');
const settingsHashSchema = z.string().regex(/^[0-9a-f]{16}$/, 'is not a digest in 16 hexadecimal digits');

export const shardSealedSchema = z
  .object({
    shardId: shardIdSchema.describe('sha256 of the Arrow file'),
    stream: z.enum(streams),
    objectKey: z.string().describe('shards/<settings hash>/<shard id>.arrow; a reader derives it and believes no other'),
    sizeBytes: z.number().int().positive(),
    settingsHash: settingsHashSchema.describe('Digest of the feature settings; tiles of different settings never mix'),
    tile: z
      .tuple([z.number().int().positive(), z.number().int().positive()])
      .optional()
      .describe('Rows and frames of a tile; 128 and 256 where it is not said'),
    tileCount: z.number().int().positive(),
    utterances: z
      .array(
        z.object({
          utteranceId: z.string(),
          version: z.string(),
          firstRow: z.number().int().nonnegative(),
          tileCount: z.number().int().positive(),
          audioSec: z.number().nonnegative(),
          cutSec: z.number().nonnegative().describe('Silence cut away'),
        }),
      )
      .min(1),
    sealedAt: z.iso.datetime().describe('Of a shard that others were merged into: when the first of these was sealed'),
  })
  .refine(({ objectKey, settingsHash, shardId }) => objectKey === shardKey(settingsHash, shardId), {
    path: ['objectKey'],
    message: 'is not the key that the shard id and the settings hash give',
  })
  .refine(({ tileCount, utterances }) => utterances.every((each) => each.firstRow + each.tileCount <= tileCount), {
    path: ['utterances'],
    message: 'names rows that the shard does not have',
  })
  .meta({ title: 'ShardSealed', description: 'A shard lies in the object store, and which rows of it are whose' });
export type ShardSealed = z.infer<typeof shardSealedSchema>;

/**
 * An announcement lists every utterance, and a broker takes 1 MiB: long names end a shard early. The first is how much of
 * it the list may take.
 */
export const largestFactBytes = 400_000;
/** What an utterance takes of it: its id, and what stands beside. */
export const factBytesOf = (utteranceId: string): number => Buffer.byteLength(utteranceId) + 160;

const shardTopic = (stream: Stream, description: string): Topic<ShardSealed, 'features' | 'trainer' | 'cli'> => ({
  noun: `shards-${stream}`,
  version: 1,
  description,
  producers: ['features', 'trainer', 'cli'],
  consumers: ['trainer', 'evaluator', 'cli'],
  schema: shardSealedSchema,
  keySchema: shardIdSchema.describe('Shard id'),
  keyOf: (shard) => shard.shardId,
  storage: compacted(4),
});

export const shardsLabelled = shardTopic('labelled', 'Shards whose utterances carry a category, or activation and valence.');
export const shardsUnlabelled = shardTopic('unlabelled', 'Shards whose utterances carry a speaker and a gender only, or nothing.');
export const shardTopicOf = (stream: Stream): Topic<ShardSealed, 'features' | 'trainer' | 'cli'> => (stream === 'labelled' ? shardsLabelled : shardsUnlabelled);
