/**
 * Tiles by shard and row, from shard files on the local disk, fetched from the object store when first needed. Tiles lie
 * one after another in a shard's file, so a tile is one positioned read: memory does not grow with the corpus.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { readShard } from '#audio/shard-file.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { sha256Hex, type Objects } from '#storage/object-store.js';
import type { TileRef } from './sampler.js';
import type { ViewUtterance } from './training-index.js';

interface OpenShard {
  file: number;
  /** Of the first tile in the file, bytes. */
  tilesAt: number;
  tileBytes: number;
  /** [rows, frames] of a tile. */
  shape: [number, number];
}

export class TileStore {
  private readonly open = new Map<string, OpenShard>();

  /** @param cache where shard files are kept; null: the objects are files already, at the paths that are their keys */
  constructor(
    private readonly store: Objects,
    private readonly cache: string | null,
  ) {
    if (cache) mkdirSync(cache, { recursive: true });
  }

  /** Fetches the shards of these utterances that are not here yet. @returns the ids of shards that are gone, or not what their name says */
  async prepare(utterances: readonly ViewUtterance[]): Promise<Set<string>> {
    const gone = new Set<string>();
    const wanted = new Map(utterances.map(({ shardId, shardObjectKey }) => [shardId, shardObjectKey]));
    this.forgetAllBut(wanted);
    for (const [shardId, objectKey] of wanted) {
      if (!this.open.has(shardId) && !(await this.fetch(shardId, objectKey))) gone.add(shardId);
    }
    return gone;
  }

  /** [rows, frames] of the tiles, of which all shards of a view have the same. */
  get tileShape(): [number, number] {
    const [first] = this.open.values();
    if (!first) throw new Error('no shard was prepared');
    return first.shape;
  }

  /** @returns [count, rows, frames] pixels, row-major */
  read(tiles: readonly TileRef[]): Uint8Array {
    const [rows, frames] = this.tileShape;
    const pixels = new Uint8Array(tiles.length * rows * frames);
    tiles.forEach(({ utterance, row }, index) => {
      const shard = this.open.get(utterance.shardId);
      if (!shard) throw new Error(`shard ${utterance.shardId} was not prepared`);
      readSync(shard.file, pixels, index * shard.tileBytes, shard.tileBytes, shard.tilesAt + row * shard.tileBytes);
    });
    return pixels;
  }

  close(): void {
    for (const { file } of this.open.values()) closeSync(file);
    this.open.clear();
  }

  /** Files of shards that no view names any more go: among them are those of erased utterances. */
  private forgetAllBut(wanted: ReadonlyMap<string, string>): void {
    for (const [shardId, { file }] of this.open) {
      if (wanted.has(shardId)) continue;
      closeSync(file);
      this.open.delete(shardId);
    }
    if (!this.cache) return;
    // Nothing but shard files is ever touched, wherever somebody has put the cache.
    for (const name of readdirSync(this.cache)) {
      const [, shardId = ''] = /^([0-9a-f]{64})\.arrow(?:\.part)?$/.exec(name) ?? [];
      if (shardId && !wanted.has(shardId)) rmSync(join(this.cache, name));
    }
  }

  private async fetch(shardId: string, objectKey: string): Promise<boolean> {
    const path = this.cache ? join(this.cache, `${shardId}.arrow`) : objectKey;
    if (!existsSync(path)) {
      if (!this.cache) return false;
      const found = await this.store.find(objectKey);
      if (!found) return false;
      writeWhole(path, found.bytes);
    }
    const bytes = readFileSync(path);
    if (sha256Hex(bytes) !== shardId) {
      if (!this.cache) return false;
      rmSync(path);
      // Not the shard of that name. Deleted, it can be made again: features never overwrites an object that is there.
      await this.store.delete(objectKey);
      return false;
    }
    const shard = readShard(bytes);
    const shape: [number, number] = [shard.settings.rows, shard.settings.width];
    this.open.set(shardId, {
      file: openSync(path, 'r'),
      tilesAt: shard.tiles.byteOffset - bytes.byteOffset,
      tileBytes: shape[0] * shape[1],
      shape,
    });
    return true;
  }
}

/** Whole or not at all: a file that was cut short by a crash must not be taken for a shard. @throws PipelineError DISK_FULL */
function writeWhole(path: string, bytes: Uint8Array): void {
  try {
    writeFileSync(`${path}.part`, bytes);
    renameSync(`${path}.part`, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    throw new PipelineError(
      'DISK_FULL',
      `There is no room for the shard cache (${path}). Free some, or set SHARD_CACHE to another folder.`,
      { cause: error },
    );
  }
}
