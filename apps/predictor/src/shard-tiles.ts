/**
 * Reads the tiles of utterances from their shard. The bytes must be the announced shard (announced-shard.ts). The settings that the
 * tiles were made with come from the file, so a false announcement cannot pass off other tiles.
 */
import { settingsHash, tileSizeBytes } from '#audio/feature-settings.js';
import type { ShardFile } from '#audio/shard/shard-file.js';
import { areClaimsTrue, openAnnounced, rowDigests } from '#index/announced-shard.js';
import type { ViewUtterance } from '#index/training-index.js';
import type { MadeTiles } from '#serving/served-model.js';
import type { Objects } from '#storage/object-store.js';

interface OpenShard {
  shardId: string;
  file: ShardFile;
  digests: Uint32Array;
  settingsHash: string;
}

/** Holds the last shard, because the next utterances mostly lie in it too. */
export class ShardTiles {
  private last: OpenShard | null = null;

  constructor(private readonly store: Pick<Objects, 'find'>) {}

  /**
   * @param utterances utterances of one shard
   * @returns null if the shard is gone, is not the announced one, or does not hold these versions
   * @throws PipelineError STORAGE_UNAVAILABLE
   */
  async read(utterances: readonly ViewUtterance[]): Promise<MadeTiles[] | null> {
    const [first] = utterances;
    if (!first) return [];
    const shard = this.last?.shardId === first.shardId ? this.last : await this.open(first);
    if (!shard || !areClaimsTrue(shard.digests, utterances)) return null;
    return utterances.map(({ firstRow, tileCount }) => {
      const tileBytes = tileSizeBytes(shard.file.settings);
      return {
        tiles: shard.file.tiles.subarray(firstRow * tileBytes, (firstRow + tileCount) * tileBytes),
        count: tileCount,
        times: Array.from({ length: tileCount }, (_, tile) => shard.file.timeAt(firstRow + tile)),
        settingsHash: shard.settingsHash,
      };
    });
  }

  private async open({ shardId, shardObjectKey }: ViewUtterance): Promise<OpenShard | null> {
    this.last = null; // two shards need not be in memory at once
    const found = await this.store.find(shardObjectKey);
    const file = found && openAnnounced(found.bytes, shardId, []);
    if (!file) return null;
    this.last = { shardId, file, digests: rowDigests(file), settingsHash: settingsHash(file.settings, null) };
    return this.last;
  }
}
