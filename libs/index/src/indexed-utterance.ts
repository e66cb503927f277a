/**
 * What the index holds of an utterance, small enough for a million: the rows that are its in whatever version, the settings
 * under which it is a dead letter, and, while it is alive, its version. What many have in common is held once.
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
export interface Place {
  version: string;
  shard: IndexedShard;
  firstRow: number;
  tileCount: number;
  /** The utterance's next place. Most have one. */
  next: Place | null;
}

/** A version that cannot be made into tiles under these settings. */
export interface Refusal {
  version: string;
  settings: TileSettings;
  /** Seconds since 1970; 0: not known. */
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

/** All that utterances of one speaker mostly share. */
export interface Traits {
  labels: Labels;
  split: Split;
  withheld: boolean;
  /** Null: not learnt from. */
  trainedKind: LabelKind | null;
  /** Utterances that have these. */
  uses: number;
}

/** Gives utterances with equal traits the same ones. */
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
  /** Null: not alive. */
  version: string | null = null;
  /** When that version was ingested, seconds since 1970 (a million of them: no more than a small integer each); 0: not known. */
  ingestedAtSec = 0;
  traits: Traits | null = null;
  places: Place | null = null;
  /** Versions that are dead letters, and under which settings. */
  refusals: Refusal[] | null = null;

  constructor(
    readonly utteranceId: string,
    readonly corpus: Corpus,
  ) {}

  addPlace(place: Omit<Place, 'next'>): void {
    this.places = { ...place, version: this.heldVersion(place.version), next: this.places };
  }

  removePlaces(shard: IndexedShard): void {
    let kept: Place | null = null;
    for (let place = this.places; place; ) {
      const { next } = place;
      if (place.shard !== shard) {
        place.next = kept;
        kept = place;
      }
      place = next;
    }
    this.places = kept;
  }

  /** @returns whether that was new */
  addRefusal(version: string, settings: TileSettings, failedAtSec: number): boolean {
    const known = this.refusals?.find((each) => each.version === version && each.settings === settings);
    if (known) known.failedAtSec = Math.max(known.failedAtSec, failedAtSec);
    else (this.refusals ??= []).push({ version: this.heldVersion(version), settings, failedAtSec });
    return !known;
  }

  /** Drops refusals of versions that are not live and failed before this time. They count for nothing. */
  dropRefusals(beforeSec: number): void {
    const kept = this.refusals?.filter(({ version, failedAtSec }) => version === this.version || failedAtSec >= beforeSec);
    this.refusals = kept && kept.length > 0 ? kept : null;
  }

  /** Its rows in a shard. */
  placeIn(shard: IndexedShard): Place | null {
    let place = this.places;
    while (place && place.shard !== shard) place = place.next;
    return place;
  }

  /** Where the live version is read under these settings: in the shard with the lowest id. */
  placeUnder(settings: TileSettings): Place | null {
    let lowest: Place | null = null;
    for (let place = this.places; place; place = place.next) {
      if (place.version !== this.version || place.shard.settings !== settings) continue;
      if (!lowest || place.shard.shardId < lowest.shard.shardId) lowest = place;
    }
    return lowest;
  }

  /** Whether the live version is in a shard, under whatever settings. */
  get isSharded(): boolean {
    for (let place = this.places; place; place = place.next) if (place.version === this.version) return true;
    return false;
  }

  /** Adds what the utterance is to what its corpus has under each of its settings, or takes it away before a change. */
  count(sign: 1 | -1, digestOf: (utteranceId: string, version: string) => bigint): void {
    if (this.version === null) return;
    this.corpus.live += sign;
    let digest: bigint | undefined;
    for (let place = this.places; place; place = place.next) {
      if (place.version !== this.version || this.placeUnder(place.shard.settings) !== place) continue;
      const coverage = this.corpus.coverageOf(place.shard.settings);
      coverage.covered += sign;
      coverage.sharded += sign;
      coverage.countTiles(this.traits?.trainedKind ?? null, sign * place.tileCount);
      digest ??= digestOf(this.utteranceId, this.version);
      coverage.digest = BigInt.asUintN(128, sign === 1 ? coverage.digest + digest : coverage.digest - digest);
    }
    for (const { version, settings } of this.refusals ?? []) {
      if (version === this.version && !this.placeUnder(settings)) this.corpus.coverageOf(settings).covered += sign;
    }
  }

  /** Neither alive nor anywhere. */
  get isForgotten(): boolean {
    return this.version === null && this.places === null && this.refusals === null;
  }

  /** The same text, but held once. */
  heldVersion(version: string): string {
    if (this.version === version) return this.version;
    for (let place = this.places; place; place = place.next) if (place.version === version) return place.version;
    return version;
  }
}
