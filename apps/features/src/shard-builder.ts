/**
 * Collects the tiles of whole utterances until a shard is sealed.
 *
 * Delivery: the name of a shard is the sha256 of its contents, so sealing the same utterances twice writes the same object.
 */
import { settingsHash, tileSizeBytes, type FeatureSettings } from '#audio/feature-settings.js';
import type { ExtractedFeatures } from '#audio/extract-features.js';
import { release } from '#audio/growing-samples.js';
import { writeShard, type ShardRow } from '#audio/shard/shard-file.js';
import type { Stream } from '#contracts/labels.js';
import { shardKey } from '#contracts/object-keys.js';
import { factBytesOf, largestFactBytes, type ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import type { Span } from '#service/spans.js';
import { sha256Hex } from '#storage/object-store.js';

interface Held {
  utterance: UtteranceIngested;
  features: ExtractedFeatures;
  offset: string;
  /** Span in the utterance's trace, from its tiles to the announcement of the shard. */
  sealing: Span;
}

export interface SealedShard {
  bytes: Uint8Array;
  fact: ShardSealed;
  /** Offsets of the records that settle once the shard is announced. */
  offsets: string[];
  /** One for each utterance, in the order of the fact. */
  sealings: Span[];
}

export class ShardBuilder {
  /** In order of arrival. */
  private readonly held = new Map<string, Held & { atMs: number }>();
  private factBytes = 0;
  tileCount = 0;

  constructor(
    private readonly stream: Stream,
    private readonly settings: FeatureSettings,
  ) {}

  add(held: Held): void {
    this.held.set(held.utterance.utteranceId, { ...held, atMs: performance.now() });
    this.tileCount += held.features.count;
    this.factBytes += factBytesOf(held.utterance.utteranceId);
  }

  /** Removes a superseded or erased utterance. @returns the offset of its record, if the shard held it */
  remove(utteranceId: string): string | null {
    const held = this.held.get(utteranceId);
    if (!held) return null;
    this.held.delete(utteranceId);
    this.tileCount -= held.features.count;
    this.factBytes -= factBytesOf(utteranceId);
    release(held.features.tiles);
    held.sealing.setAttribute('undertone.superseded', true).end();
    return held.offset;
  }

  isDue(sealing: { tiles: number; bytes: number; maxAgeMs: number }): boolean {
    const [first] = this.held.values();
    if (!first) return false;
    if (this.tileCount >= sealing.tiles || this.sizeBytes >= sealing.bytes) return true;
    return this.factBytes >= largestFactBytes || performance.now() - first.atMs >= sealing.maxAgeMs;
  }

  get isEmpty(): boolean {
    return this.held.size === 0;
  }

  /** Bytes of the shard's tiles. */
  get sizeBytes(): number {
    return this.tileCount * tileSizeBytes(this.settings);
  }

  /** Seals the shard and releases its tiles. Call it once. */
  seal(): SealedShard {
    const held = [...this.held.values()];
    const bytes = writeShard(
      held.flatMap((each) => this.rowsOf(each)),
      this.settings,
    );
    for (const { features } of held) release(features.tiles);
    const shardId = sha256Hex(bytes);
    const hash = settingsHash(this.settings, null);
    let firstRow = 0;
    const utterances = held.map(({ utterance, features }) => {
      const place = firstRow;
      firstRow += features.count;
      return {
        utteranceId: utterance.utteranceId,
        version: utterance.version,
        firstRow: place,
        tileCount: features.count,
        audioSec: features.audioSec,
        cutSec: features.audioSec - features.keptSec,
        ...(Object.keys(features.leftOut).length > 0 && { leftOut: features.leftOut }),
      };
    });
    const fact: ShardSealed = {
      shardId,
      stream: this.stream,
      objectKey: shardKey(hash, shardId),
      sizeBytes: bytes.byteLength,
      settingsHash: hash,
      tile: [this.settings.rows, this.settings.width],
      tileCount: this.tileCount,
      utterances,
      sealedAt: new Date().toISOString(),
    };
    return { bytes, fact, offsets: held.map(({ offset }) => offset), sealings: held.map(({ sealing }) => sealing) };
  }

  private rowsOf({ utterance, features }: Held): ShardRow[] {
    const { labels } = utterance;
    const size = tileSizeBytes(this.settings);
    return Array.from({ length: features.count }, (_, tileIndex) => ({
      tile: features.tiles.subarray(tileIndex * size, (tileIndex + 1) * size),
      utteranceId: utterance.utteranceId,
      version: utterance.version,
      tileIndex,
      corpus: utterance.corpus,
      speaker: labels.speakerId ?? null,
      gender: labels.gender ?? null,
      category: labels.category ?? null,
      activation: labels.activation ?? null,
      valence: labels.valence ?? null,
      levelEdges: labels.levelEdges,
      time: features.times[tileIndex],
    }));
  }
}
