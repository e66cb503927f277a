/**
 * One utterance in the index, small enough for a million of them: its rows in shards under any version, the settings under
 * which it has dead letters, and its version while it is alive. Values that many utterances share are held once.
 */
import { carriesTarget, type EmotionTarget, type Labels, type Split, type Stream } from '#contracts/labels.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import type { Corpus, LabelKind, TileSettings } from './choose-settings.js';

export interface IndexedShard {
  shardId: string;
  stream: Stream;
  settings: TileSettings;
  sealedAt: string;
  tile: [number, number] | undefined;
  utterances: IndexedUtterance[];
}

/** Rows of a shard that hold a version. */
export interface VersionRows {
  version: string;
  shard: IndexedShard;
  firstRow: number;
  tileCount: number;
  /** The next rows of the same utterance. Most utterances have none. */
  next: VersionRows | null;
}

/** A version that features cannot turn into tiles under these settings: it has a dead letter. */
export interface Refusal {
  version: string;
  settings: TileSettings;
  /** Seconds since 1970; 0 if unknown. */
  failedAtSec: number;
}

const kinds: readonly Labels[] = Array.from({ length: 8 }, (_, bits) => ({
  category: bits & 4 ? 'neutral' : undefined,
  activation: bits & 2 ? 3 : undefined,
  valence: bits & 1 ? 3 : undefined,
}));
const kindOf = ({ category, activation, valence }: Labels): LabelKind =>
  (category === undefined ? 0 : 4) + (activation === undefined ? 0 : 2) + (valence === undefined ? 0 : 1);
export const kindCarriesTarget = (kind: LabelKind, target: EmotionTarget): boolean => carriesTarget(kinds[kind] as Labels, target);

/** Labels, split and withholding, which the utterances of one speaker mostly share. */
export interface Traits {
  labels: Labels;
  split: Split;
  withheld: boolean;
  /** Null if training must not use the utterance. */
  trainedKind: LabelKind | null;
  /** Number of utterances with these traits. */
  uses: number;
}

/** Gives utterances with equal traits the same object. */
export class TraitsTable {
  private readonly byName = new Map<string, Traits>();

  take({ labels, split, withheld }: Pick<UtteranceIngested, 'labels' | 'split' | 'withheld'>): Traits {
    const name = traitsName(labels, split, withheld);
    let traits = this.byName.get(name);
    if (!traits) {
      const trainedKind = split === 'train' && !withheld ? kindOf(labels) : null;
      this.byName.set(name, (traits = { labels, split, withheld, trainedKind, uses: 0 }));
    }
    traits.uses++;
    return traits;
  }

  giveBack(traits: Traits): void {
    if (--traits.uses === 0) this.byName.delete(traitsName(traits.labels, traits.split, traits.withheld));
  }
}

function traitsName(
  { speakerId, gender, category, activation, valence, session, levelEdges }: Labels,
  split: Split,
  withheld: boolean,
): string {
  return JSON.stringify([speakerId, gender, category, activation, valence, session, levelEdges, split, withheld]);
}

export class IndexedUtterance {
  /** Null if the utterance is not alive. */
  version: string | null = null;
  /** Ingestion time of that version in seconds since 1970, a small integer to save memory; 0 if unknown. */
  ingestedAtSec = 0;
  traits: Traits | null = null;
  rows: VersionRows | null = null;
  /** Versions with a dead letter, and the settings under which they failed. */
  refusals: Refusal[] | null = null;

  constructor(
    readonly utteranceId: string,
    readonly corpus: Corpus,
  ) {}

  addRows(place: Omit<VersionRows, 'next'>): void {
    this.rows = { ...place, version: this.heldVersion(place.version), next: this.rows };
  }

  removeRows(shard: IndexedShard): void {
    let kept: VersionRows | null = null;
    for (let place = this.rows; place; ) {
      const { next } = place;
      if (place.shard !== shard) {
        place.next = kept;
        kept = place;
      }
      place = next;
    }
    this.rows = kept;
  }

  /** @returns true if the refusal is new */
  addRefusal(version: string, settings: TileSettings, failedAtSec: number): boolean {
    const known = this.refusals?.find((each) => each.version === version && each.settings === settings);
    if (known) known.failedAtSec = Math.max(known.failedAtSec, failedAtSec);
    else (this.refusals ??= []).push({ version: this.heldVersion(version), settings, failedAtSec });
    return !known;
  }

  /** Drops refusals that no longer count: those of versions that are not live and failed before this time. */
  dropRefusals(beforeSec: number): void {
    const kept = this.refusals?.filter(({ version, failedAtSec }) => version === this.version || failedAtSec >= beforeSec);
    this.refusals = kept && kept.length > 0 ? kept : null;
  }

  /** @returns the rows of the utterance in a shard */
  rowsIn(shard: IndexedShard): VersionRows | null {
    let place = this.rows;
    while (place && place.shard !== shard) place = place.next;
    return place;
  }

  /** @returns the rows from which the live version is read under these settings: those in the shard with the lowest id */
  rowsUnder(settings: TileSettings): VersionRows | null {
    let lowest: VersionRows | null = null;
    for (let place = this.rows; place; place = place.next) {
      if (place.version !== this.version || place.shard.settings !== settings) continue;
      if (!lowest || place.shard.shardId < lowest.shard.shardId) lowest = place;
    }
    return lowest;
  }

  /** True if a shard holds the live version, under any settings. */
  get isSharded(): boolean {
    for (let place = this.rows; place; place = place.next) if (place.version === this.version) return true;
    return false;
  }

  /** Adds the utterance to the coverages of its corpus (sign 1), or takes it out before a change (sign -1). */
  count(sign: 1 | -1, digestOf: (utteranceId: string, version: string) => bigint): void {
    if (this.version === null) return;
    this.corpus.live += sign;
    let digest: bigint | undefined;
    for (let place = this.rows; place; place = place.next) {
      if (place.version !== this.version || this.rowsUnder(place.shard.settings) !== place) continue;
      const coverage = this.corpus.coverageOf(place.shard.settings);
      coverage.covered += sign;
      coverage.sharded += sign;
      coverage.countTiles(this.traits?.trainedKind ?? null, sign * place.tileCount);
      digest ??= digestOf(this.utteranceId, this.version);
      coverage.digest = BigInt.asUintN(128, sign === 1 ? coverage.digest + digest : coverage.digest - digest);
    }
    for (const { version, settings } of this.refusals ?? []) {
      if (version === this.version && !this.rowsUnder(settings)) this.corpus.coverageOf(settings).covered += sign;
    }
  }

  /** True if the utterance is not alive and has neither rows nor refusals. */
  get isUnused(): boolean {
    return this.version === null && this.rows === null && this.refusals === null;
  }

  /** @returns an equal string that is already held, to save memory */
  heldVersion(version: string): string {
    if (this.version === version) return this.version;
    for (let place = this.rows; place; place = place.next) if (place.version === version) return place.version;
    return version;
  }
}
