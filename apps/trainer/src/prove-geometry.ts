/**
 * Finds out the tile geometry of feature settings from a shard's file. A record only claims a geometry, and forged records may
 * be in the majority. The file proves it: its settings give the settings hash and the geometry.
 *
 * The trainer opens no run for a geometry without such a proof. A shard whose file is gone proves nothing; compaction withdraws it.
 */
import { settingsHash as hashOf } from '#audio/feature-settings.js';
import { shardKey } from '#contracts/object-keys.js';
import { openAnnounced } from '#index/announced-shard.js';
import type { TileGeometry } from '#index/choose-settings.js';
import type { TrainingIndex } from '#index/training-index.js';
import type { Objects } from '#storage/object-store.js';

/** Shards of one settings hash that are fetched in one try. */
const fetchesAtOnce = 8;
const mostRemembered = 100_000;

export class GeometryProofs {
  /** Shards whose file proves nothing. A file is stored before its record is written, so it will not come later. */
  private readonly fruitless = new Set<string>();
  private lookedAt = -1;

  constructor(private readonly store: Pick<Objects, 'find'>) {}

  /** @returns true if the geometry of the index's view is proven, or if the index has none */
  async prove(index: TrainingIndex): Promise<boolean> {
    if (index.revision === this.lookedAt) return index.isTileProven;
    let isOver = true;
    for (const { settingsHash, shardIds } of index.unprovenSettings()) {
      const untried = inTurn([...shardIds.values()].map((ids) => ids.filter((id) => !this.fruitless.has(id))));
      const tile = await this.firstProof(settingsHash, untried.slice(0, fetchesAtOnce));
      if (tile) index.proveGeometry(settingsHash, tile);
      else isOver &&= untried.length <= fetchesAtOnce;
    }
    if (isOver) this.lookedAt = index.revision;
    return index.isTileProven;
  }

  private async firstProof(settingsHash: string, shardIds: readonly string[]): Promise<TileGeometry | null> {
    for (const shardId of shardIds) {
      const found = await this.store.find(shardKey(settingsHash, shardId));
      const file = found && openAnnounced(found.bytes, shardId, []);
      if (file && hashOf(file.settings, null) === settingsHash) return [file.settings.rows, file.settings.width];
      if (this.fruitless.size >= mostRemembered) this.fruitless.clear();
      this.fruitless.add(shardId);
    }
    return null;
  }
}

/** The first of each list, then the second of each, so that thousands of forged records do not hide an honest one. */
function inTurn(lists: readonly string[][]): string[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, at) => lists.flatMap((list) => list.slice(at, at + 1))).flat();
}
