/**
 * Gives tiles by shard and row. A separate thread reads them while steps compute. Shard files lie in a cache on the local
 * disk and are fetched from the object store when first needed. Shards beyond the cache's limit, or that find the disk full,
 * stay in the store and are read tile by tile. A tile is one read at a known offset, since tiles lie one after another in a
 * shard. So memory does not grow with the corpus.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { parseShardKey } from '#contracts/object-keys.js';
import { errorCodes, PipelineError, type ErrorCode } from '#contracts/pipeline-error.js';
import type { StoreConnection } from '#service/connection-config.js';
import { deleteOwn } from '#storage/delete-own.js';
import type { Objects, StoreCall } from '#storage/object-store.js';
import { areClaimsTrue, openAnnounced, rowDigests } from '#index/announced-shard.js';
import { CacheFolder } from './cache-folder.js';
import type { TileGeometry } from '#index/choose-settings.js';
import type { TileRef } from './tile-pool.js';
import type { ViewUtterance } from '#index/training-index.js';

export interface OpenShard {
  shardId: string;
  objectKey: string;
  /** Null if the file is not on this disk. */
  path: string | null;
  /** Byte offset of the first tile in the file. */
  tilesAt: number;
  tileBytes: number;
}

export interface ReaderData {
  connection: StoreConnection | null;
}

export type ToReader =
  | { type: 'open'; shards: OpenShard[] }
  | { type: 'close'; shardIds: string[] }
  | { type: 'read'; id: number; places: { shardId: string; row: number }[] };

export type FromReader =
  | { id: number; pixels: Uint8Array }
  | { id: number; error: { message: string; code: string | null; stack: string | undefined } }
  | { call: StoreCall };

export interface ShardCache {
  /** Several processes may share the folder: each TileStore takes a sub-folder of its own. */
  folder: string;
  /** Largest total size of the files in the sub-folder. */
  limitBytes: number;
  /** Connection to the store, for the thread that reads shards that are not in the cache. */
  connection: StoreConnection;
  /** Called for each request of that thread to the store. */
  onCall?: (call: StoreCall) => void;
}

interface CheckedShard extends OpenShard {
  sizeBytes: number;
  /** Digest of the utterance version in each row. */
  digests: Uint32Array;
  /** [rows, frames] of a tile. */
  shape: [number, number];
}

export class TileStore {
  private readonly open = new Map<string, CheckedShard>();
  private readonly folder: CacheFolder | null;
  private readonly reader: Worker;
  private readonly pending = new Map<number, { resolve: (pixels: Uint8Array) => void; reject: (error: Error) => void }>();
  private reads = 0;
  private failure: Error | undefined;
  private hasWarned = false;

  /** @param cache null if the objects are files already, at the paths that are their keys */
  constructor(
    private readonly store: Objects,
    private readonly cache: ShardCache | null,
  ) {
    this.folder = cache && CacheFolder.claim(cache.folder);
    // The reader lies beside this module: compiled, or as source in a test.
    const reader = new URL(import.meta.url.replace('tile-store', 'tile-reader'));
    this.reader = new Worker(reader, { workerData: { connection: cache?.connection ?? null } satisfies ReaderData });
    this.reader.on('message', (answer: FromReader) => this.settle(answer));
    this.reader.on('error', (error) => {
      this.failure = error;
      for (const { reject } of this.pending.values()) reject(this.failure);
      this.pending.clear();
    });
  }

  /**
   * Fetches the shards of these utterances that are not here yet.
   * @param tile rows and frames that the records state; null if they state none
   * @returns ids of shards that are gone, do not have the sha256 in their name, or hold other rows than their records say
   */
  async prepare(utterances: readonly ViewUtterance[], tile: TileGeometry | null = null): Promise<Set<string>> {
    const gone = new Set<string>();
    const wanted = Map.groupBy(utterances, ({ shardId }) => shardId);
    this.closeAllBut(wanted);
    for (const [shardId, claims] of wanted) {
      const shard = this.open.get(shardId) ?? (await this.openShard(shardId, claims[0]?.shardObjectKey ?? ''));
      const isAsSaid = shard && areClaimsTrue(shard.digests, claims) && (!tile || shard.shape.join() === tile.join());
      if (!isAsSaid) gone.add(shardId);
    }
    return gone;
  }

  private async openShard(shardId: string, objectKey: string): Promise<CheckedShard | null> {
    const shard = await this.fetch(shardId, objectKey);
    if (!shard) return null;
    this.open.set(shardId, shard);
    const { path, tilesAt, tileBytes } = shard;
    this.tell({ type: 'open', shards: [{ shardId, objectKey, path, tilesAt, tileBytes }] });
    return shard;
  }

  /** [rows, frames] of the tiles; all shards of a view have the same. */
  get tileShape(): [number, number] {
    const [first] = this.open.values();
    if (!first) throw new Error('tileShape was read before prepare opened a shard');
    return first.shape;
  }

  /** Number of shards that are only in the store, because the cache was full. */
  get remoteShards(): number {
    return [...this.open.values()].filter(({ path }) => path === null).length;
  }

  /** @returns [count, rows, frames] pixels, row-major @throws PipelineError OBJECT_GONE, STORAGE_UNAVAILABLE */
  read(tiles: readonly TileRef[]): Promise<Uint8Array> {
    if (this.failure) return Promise.reject(this.failure);
    const id = this.reads++;
    const places = tiles.map(({ utterance, row }) => ({ shardId: utterance.shardId, row }));
    this.tell({ type: 'read', id, places });
    return new Promise((resolve, reject) => this.pending.set(id, { resolve, reject }));
  }

  async close(): Promise<void> {
    await this.reader.terminate();
    this.open.clear();
    this.folder?.release();
  }

  private tell(message: ToReader): void {
    this.reader.postMessage(message);
  }

  private settle(answer: FromReader): void {
    if ('call' in answer) return this.cache?.onCall?.(answer.call);
    const waiting = this.pending.get(answer.id);
    this.pending.delete(answer.id);
    if ('pixels' in answer) return waiting?.resolve(answer.pixels);
    const { message, code, stack } = answer.error;
    const isKnown = code !== null && code in errorCodes;
    waiting?.reject(isKnown ? new PipelineError(code as ErrorCode, message) : Object.assign(new Error(message), { stack }));
  }

  /** Deletes the files of shards that no view names any more, because erased utterances are among them. */
  private closeAllBut(wanted: ReadonlyMap<string, unknown>): void {
    const shardIds = [...this.open.keys()].filter((shardId) => !wanted.has(shardId));
    for (const shardId of shardIds) this.open.delete(shardId);
    if (shardIds.length > 0) this.tell({ type: 'close', shardIds });
    this.folder?.keepOnly(wanted);
    this.folder?.sweep();
  }

  /** @returns null for a shard that is gone, that does not have the sha256 in its name, or whose key is not a shard's */
  private async fetch(shardId: string, objectKey: string): Promise<CheckedShard | null> {
    if (!this.folder) return existsSync(objectKey) ? checked(shardId, objectKey, objectKey, readFileSync(objectKey)) : null;
    if (parseShardKey(objectKey)?.shardId !== shardId) return null;
    const path = this.folder.pathOf(shardId);
    const kept = existsSync(path) ? checked(shardId, objectKey, path, readFileSync(path)) : null;
    if (kept && this.hasRoomFor(kept)) return kept;
    rmSync(path, { force: true });
    const found = await this.store.find(objectKey);
    if (!found) return null;
    const shard = checked(shardId, objectKey, path, found.bytes);
    // The bytes are not the shard of that name. Once deleted, it can be made again: features never overwrites an existing object.
    if (!shard) await deleteOwn(this.store, objectKey, 'shard');
    if (!shard || !this.hasRoomFor(shard)) return shard && { ...shard, path: null };
    if (writeWhole(path, found.bytes)) return shard;
    this.warnOfFullDisk(path);
    return { ...shard, path: null };
  }

  /** Warns once: a full disk stays full for many shards. */
  private warnOfFullDisk(path: string): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    const remedy = 'Free some room, lower SHARD_CACHE_MB, or set SHARD_CACHE to another folder.';
    process.emitWarning(
      `The disk of the shard cache is full (${path}); shards are read from the object store, which is slower. ${remedy}`,
      {
        code: 'DISK_FULL',
      },
    );
  }

  private hasRoomFor({ sizeBytes }: CheckedShard): boolean {
    const taken = [...this.open.values()].reduce((sum, shard) => sum + (shard.path === null ? 0 : shard.sizeBytes), 0);
    return taken + sizeBytes <= (this.cache?.limitBytes ?? Infinity);
  }
}

/** @returns null if the bytes do not have the sha256 in the name */
function checked(shardId: string, objectKey: string, path: string, bytes: Uint8Array): CheckedShard | null {
  const shard = openAnnounced(bytes, shardId, []);
  if (!shard) return null;
  const shape: [number, number] = [shard.settings.rows, shard.settings.width];
  const tilesAt = shard.tiles.byteOffset - bytes.byteOffset;
  return {
    shardId,
    objectKey,
    path,
    tilesAt,
    tileBytes: shape[0] * shape[1],
    sizeBytes: bytes.byteLength,
    shape,
    digests: rowDigests(shard),
  };
}

/** Writes the whole file or nothing, so that a crash never leaves part of a shard under its name. @returns false if the disk is full */
function writeWhole(path: string, bytes: Uint8Array): boolean {
  try {
    writeFileSync(`${path}.part`, bytes);
    renameSync(`${path}.part`, path);
    return true;
  } catch (error) {
    if (!fullDiskCodes.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    rmSync(`${path}.part`, { force: true });
    return false;
  }
}

/** The disk is full, or a quota is used up. */
const fullDiskCodes = ['ENOSPC', 'EDQUOT'];
