/** Sealed shards of spectrogram tiles. Each fact is a claim check: the trainer fetches the shard from the object store. */
import { z } from 'zod';
import { streams, type Stream } from './labels.js';
import { shardKey } from './object-keys.js';
import { tileSchema } from './tile-size.js';
import { compacted, type Topic } from './topic.js';

/** Shard id and settings hash are parts of keys and file names, so only the digits of a digest may stand in them. */
const shardIdSchema = z.string().regex(/^[0-9a-f]{64}$/, 'is not a sha256 in 64 hexadecimal digits');
const settingsHashSchema = z.string().regex(/^[0-9a-f]{16}$/, 'is not a digest in 16 hexadecimal digits');

/** `little speech`: the tile holds less speech than TILE_MIN_SPEECH, and the utterance has a better one. */
export const leftOutReasons = ['little speech'] as const;
export type LeftOut = Partial<Record<(typeof leftOutReasons)[number], number>>;

/** Features reads a shard whole, and so does a reader. */
const mostShardBytes = 2 ** 31;
const mostTiles = 2 ** 24;

export const shardSealedSchema = z
  .object({
    shardId: shardIdSchema.describe('sha256 of the Arrow file'),
    stream: z.enum(streams),
    objectKey: z.string().describe('shards/<settings hash>/<shard id>.arrow. A reader derives the key and refuses any other.'),
    sizeBytes: z.number().int().positive().max(mostShardBytes),
    settingsHash: settingsHashSchema.describe('Digest of the feature settings. Tiles of different settings never mix.'),
    tile: tileSchema.optional().describe('Rows and frames of a tile; 128 and 256 if absent'),
    tileCount: z.number().int().positive().max(mostTiles),
    utterances: z
      .array(
        z.object({
          utteranceId: z.string(),
          version: z.string(),
          firstRow: z.number().int().nonnegative(),
          tileCount: z.number().int().positive(),
          audioSec: z.number().nonnegative(),
          cutSec: z.number().nonnegative().describe('Seconds of silence that features cut'),
          leftOut: z
            .partialRecord(z.enum(leftOutReasons), z.number().int().positive())
            .optional()
            .describe('Tiles that features did not make, by reason. Absent if it made all, and in old records.'),
        }),
      )
      .min(1),
    sealedAt: z.iso.datetime().describe('When features sealed the shard. For a merged shard, the earliest such time among its sources.'),
  })
  .refine(({ objectKey, settingsHash, shardId }) => objectKey === shardKey(settingsHash, shardId), {
    path: ['objectKey'],
    message: 'is not the key that the shard id and the settings hash give',
  })
  .refine(({ tileCount, utterances }) => utterances.every((each) => each.firstRow + each.tileCount <= tileCount), {
    path: ['utterances'],
    message: 'names rows that the shard does not have',
  })
  .meta({ title: 'ShardSealed', description: 'A shard is stored. Lists the rows of each utterance in it.' });
export type ShardSealed = z.infer<typeof shardSealedSchema>;

/**
 * Largest list of utterances in one announcement. An announcement lists every utterance, and a broker accepts 1 MiB by
 * default, so long utterance ids make a shard end early.
 */
export const largestFactBytes = 400_000;
/** Bytes that one utterance adds to the announcement: its id and the fields beside it. */
export const factBytesOf = (utteranceId: string): number => Buffer.byteLength(utteranceId) + 200;

const shardTopic = (stream: Stream, description: string): Topic<ShardSealed, 'features' | 'trainer' | 'cli'> => ({
  noun: `shards-${stream}`,
  version: 1,
  description,
  producers: ['features', 'trainer', 'cli'],
  consumers: ['trainer', 'evaluator', 'predictor', 'cli'],
  schema: shardSealedSchema,
  keySchema: shardIdSchema.describe('Shard id'),
  keyOf: (shard) => shard.shardId,
  storage: compacted(4),
});

export const shardsLabelled = shardTopic('labelled', 'Shards whose utterances carry a category, or activation and valence.');
export const shardsUnlabelled = shardTopic('unlabelled', 'Shards whose utterances carry a speaker and a gender only, or nothing.');
export const shardTopicOf = (stream: Stream): Topic<ShardSealed, 'features' | 'trainer' | 'cli'> =>
  stream === 'labelled' ? shardsLabelled : shardsUnlabelled;
