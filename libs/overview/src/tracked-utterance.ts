/** The overview's state of one utterance: its record, its tiles in all shards, and its dead letters. */
import type { Stream } from '#contracts/labels.js';
import type { LeftOut } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import type { TopicPosition } from './overview-snapshot.js';

export interface TrackedShard {
  shardId: string;
  settingsHash: string;
  stream: Stream;
  utterances: TrackedUtterance[];
}

/** The rows of one shard that hold one version. */
export interface HeldTiles {
  version: string;
  shard: TrackedShard;
  tileCount: number;
  audioSec: number;
  cutSec: number;
  leftOut: LeftOut | undefined;
}

/** A version that failed under these settings; null: under all settings. */
interface Refusal {
  version: string;
  settingsHash: string | null;
}

/** One shared empty list, because most of a million utterances have no refusal. */
const none: readonly never[] = [];

export class TrackedUtterance {
  /** The utterance's record; null if it is not alive. */
  fact: UtteranceIngested | null = null;
  place: TopicPosition | null = null;
  /** True if ingest itself dead-lettered the utterance. */
  isRefusedAtIngest = false;
  /** The time when ingest last refused the annotations of this recording. */
  annotationsRefusedAt: string | null = null;
  /** The newest refusal of this recording's row alone. */
  refusedRow: { at: string; message: string } | null = null;
  /** Number of distinct dead letters. */
  letters = 0;
  private tiles: readonly HeldTiles[] = none;
  private refusals: readonly Refusal[] = none;

  constructor(readonly utteranceId: string) {}

  /** True if the utterance is not alive and no shard or dead letter names it. */
  get isForgotten(): boolean {
    return !this.fact && this.tiles.length === 0 && this.letters === 0;
  }

  addTiles(tiles: HeldTiles): void {
    const others = this.tiles.filter(({ shard, version }) => shard !== tiles.shard || version !== tiles.version);
    this.tiles = [...others, tiles];
  }

  removeTiles(shard: TrackedShard): void {
    this.tiles = this.tiles.filter((each) => each.shard !== shard);
  }

  addRefusal(version: string, settingsHash: string | null): void {
    if (this.refusals.some((each) => each.version === version && each.settingsHash === settingsHash)) return;
    this.refusals = [...this.refusals, { version, settingsHash }];
  }

  /** Tiles of the live version, from the shard with the lowest id. @param settingsHash undefined: of any settings */
  tilesUnder(settingsHash: string | undefined): HeldTiles | undefined {
    let lowest: HeldTiles | undefined;
    for (const tiles of this.tiles) {
      if (tiles.version !== this.fact?.version) continue;
      if (settingsHash !== undefined && tiles.shard.settingsHash !== settingsHash) continue;
      if (!lowest || tiles.shard.shardId < lowest.shard.shardId) lowest = tiles;
    }
    return lowest;
  }

  /** True if the live version is dead-lettered. @param settingsHash undefined: under any settings */
  isRefusedUnder(settingsHash: string | undefined): boolean {
    return this.refusals.some(
      (each) =>
        each.version === this.fact?.version &&
        (each.settingsHash === null || settingsHash === undefined || each.settingsHash === settingsHash),
    );
  }

  /** The time of ingest if the utterance is trainable; else null. */
  get learnableSince(): string | null {
    return this.fact && this.fact.split === 'train' && !this.fact.withheld ? this.fact.ingestedAt : null;
  }
}
