/**
 * The trainer's index decides which tiles count. It keeps every shard that holds a version of an utterance, and reads from
 * the shard with the lowest id, so that a duplicate shard adds nothing. A tile counts only if its version is its utterance's
 * current one, and only under the settings that its corpus has moved to (choose-settings.ts).
 *
 * The cost of a fact grows with its own size only: the rows of a shard, or one utterance. The index keeps counts and digest
 * up to date. Only a view looks at all utterances.
 *
 * The file is longer than 300 lines because each rule on what counts needs the same two maps, of utterances and of shards. What
 * readers of a view ask follows at the end.
 *
 * Delivery: facts may come twice, late, and in any order between the topics. The result is the same. Before `caughtUp` the
 * settings are chosen from all facts so far, so that the order of a first reading decides nothing.
 */
import type { DeadLetter } from '#contracts/dead-letters.js';
import { featureSettingsOf, type FeatureSettingsChosen } from '#contracts/feature-settings.js';
import { type EmotionTarget, type Labels, type Split, type Stream } from '#contracts/labels.js';
import { corporaPrefix, corpusOf, shardKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import {
  Corpus,
  type Coverage,
  geometryOf,
  nameOf,
  nextCoverage,
  nextGeometry,
  type TileGeometry,
  TileSettings,
  type UnprovenSettings,
} from './choose-settings.js';
import { type IndexedShard, IndexedUtterance, kindCarriesTarget, type VersionRows, TraitsTable } from './indexed-utterance.js';
import { addDigest, digestText, settingsDigest, versionDigest } from './view-digest.js';
import { WaitingTraces } from './waiting-traces.js';

/** The parts of the facts that the index needs. */
type UtteranceFact = Pick<UtteranceIngested, 'version' | 'labels' | 'split' | 'withheld'> & Partial<Pick<UtteranceIngested, 'ingestedAt'>>;
type ShardRows = Pick<ShardSealed['utterances'][number], 'utteranceId' | 'version' | 'firstRow' | 'tileCount'>;
type ShardFact = Pick<ShardSealed, 'shardId' | 'stream' | 'settingsHash' | 'sealedAt' | 'tile'> & {
  utterances: readonly ShardRows[];
};
type SettingsFact = Pick<FeatureSettingsChosen, 'default' | 'corpora'>;
type RefusalFact = Pick<DeadLetter, 'stage' | 'settingsHash' | 'utteranceId' | 'version'> & Partial<Pick<DeadLetter, 'failedAt'>>;

export interface ViewUtterance {
  utteranceId: string;
  version: string;
  objectKey: string;
  stream: Stream;
  labels: Labels;
  split: Split;
  withheld: boolean;
  /** Seconds since 1970; absent for files in a folder. */
  ingestedAtSec?: number;
  /** The shard that holds its tiles. */
  shardId: string;
  shardObjectKey: string;
  firstRow: number;
  tileCount: number;
}

/** The present version of a live utterance, and where its tiles are. */
export interface LiveTiles {
  version: string;
  /** Seconds since 1970; 0 if unknown. */
  ingestedAtSec: number;
  /** Null if there are no tiles under usable settings. */
  tiles: ViewUtterance | null;
  /** Settings of these tiles, or of others if none are usable; null without any tiles. */
  settingsHash: string | null;
}

/** The utterances that one round trains on and scores, frozen when the round starts. */
export interface TrainingView {
  /** Digest of the set of utterance versions, independent of their order (view-digest.ts). */
  digest: string;
  /** Corpus to the settings hash of its tiles. */
  settings: Record<string, string>;
  /** The settings hash of most tiles. */
  settingsHash: string | null;
  /** Geometry of all its tiles; null if no shard states it. */
  tile: TileGeometry | null;
  /** Sorted by utterance id. */
  utterances: ViewUtterance[];
}

export interface ViewCounts {
  labelled: number;
  unlabelled: number;
}

/** The one tile geometry, as `rowsxframes`, and the settings hash of each corpus. */
export interface SettingsChoice {
  geometry: string | null;
  settings: Record<string, string>;
}

/** The current choice and digest, kept until the index changes. */
interface Selection {
  revision: number;
  geometry: string | null;
  coverages: Map<Corpus, Coverage>;
  digest: string;
}

const refusalsKeptSec = 3_600;

export class TrainingIndex {
  private readonly utterances = new Map<string, IndexedUtterance>();
  private readonly shards = new Map<string, IndexedShard>();
  private readonly corpora = new Map<string, Corpus>();
  private readonly settings = new Map<string, TileSettings>();
  private readonly traits = new TraitsTable();
  /** Trace contexts of utterances that wait for their first round. */
  readonly traces = new WaitingTraces();
  private wanted: SettingsFact | null = null;
  private geometry: string | null = null;
  private isCaughtUp = false;
  private kept: Selection | undefined;
  /** Rises with every change that may change the view. */
  revision = 0;
  /** Rises each time an utterance gains tiles, loses tiles, or changes while it has tiles. */
  changes = 0;

  applyUtterance(utteranceId: string, fact: UtteranceFact | null): void {
    if (!fact) this.traces.drop(utteranceId);
    const utterance = fact ? this.utteranceOf(utteranceId) : this.utterances.get(utteranceId);
    if (!utterance || utterance.version === (fact?.version ?? null)) return;
    const { traits, isSharded: wasSharded } = utterance;
    utterance.count(-1, versionDigest);
    utterance.version = fact && utterance.heldVersion(fact.version);
    utterance.ingestedAtSec = fact?.ingestedAt === undefined ? 0 : Math.floor(Date.parse(fact.ingestedAt) / 1000);
    utterance.traits = fact && this.traits.take(fact);
    if (traits) this.traits.giveBack(traits);
    utterance.count(1, versionDigest);
    if (wasSharded || utterance.isSharded) this.changes++;
    this.dropIfUnused(utterance);
    this.changed([utterance.corpus]);
  }

  applyShard(shardId: string, fact: ShardFact | null): void {
    const known = this.shards.get(shardId);
    const isSame = known ? fact?.sealedAt === known.sealedAt && String(fact.tile) === String(known.tile) : !fact;
    if (isSame) return;
    const before = known ? this.withdraw(known) : [];
    const after = fact ? this.add(fact) : [];
    for (const utterance of known?.utterances ?? []) this.dropIfUnused(utterance);
    this.changed(new Set([...before, ...after]));
  }

  /** Notes that a version cannot become tiles under some settings, so that the choice of settings need not wait for it. */
  applyDeadLetter({ stage, settingsHash, utteranceId, version, failedAt }: RefusalFact): void {
    if (stage !== 'features' || settingsHash === undefined || utteranceId === undefined || version === undefined) return;
    const utterance = this.utteranceOf(utteranceId);
    const settings = this.settingsOf(settingsHash);
    utterance.count(-1, versionDigest);
    const isNew = utterance.addRefusal(version, settings, failedAt === undefined ? 0 : Math.floor(Date.parse(failedAt) / 1000));
    utterance.count(1, versionDigest);
    if (isNew) this.changed([utterance.corpus]);
  }

  /**
   * Drops the refusals of deleted utterances and of replaced versions. A refusal younger than an hour stays, because the
   * record of its version may still be unread. A version that comes back is refused again.
   */
  dropOldRefusals(nowMs = Date.now()): void {
    const beforeSec = Math.floor(nowMs / 1000) - refusalsKeptSec;
    for (const utterance of this.utterances.values()) {
      if (!utterance.refusals) continue;
      utterance.dropRefusals(beforeSec);
      this.dropIfUnused(utterance);
    }
  }

  /** Notes the settings that features uses for each corpus. A corpus moves to them once they cover all of it. */
  applySettings(fact: SettingsFact | null): void {
    this.wanted = fact;
    for (const corpus of this.corpora.values()) corpus.wanted = this.wantedBy(corpus.name);
    this.changed(this.corpora.values());
  }

  /** Call it when all records from before the start are applied. From then on, a corpus keeps its settings until it may move. */
  caughtUp(): void {
    this.isCaughtUp = true;
    this.changed(this.corpora.values());
  }

  /** Tiles that training may use. `labelled` counts those with a label for the emotion head, from both shard topics. */
  counts(target: EmotionTarget): ViewCounts {
    const counts: ViewCounts = { labelled: 0, unlabelled: 0 };
    for (const { trainedTiles } of this.selection.coverages.values())
      trainedTiles.forEach((tiles, kind) => (counts[kindCarriesTarget(kind, target) ? 'labelled' : 'unlabelled'] += tiles));
    return counts;
  }

  /** Digest of the current view. */
  get digest(): string {
    return this.selection.digest;
  }

  /** The geometry of the view's tiles; null while there are none. */
  get tile(): TileGeometry | null {
    const { geometry } = this.selection;
    return geometry === null ? null : geometryOf(geometry);
  }

  /** True if a shard's file has the geometry of the view. Until then it rests on records, which anyone may forge. */
  get isTileProven(): boolean {
    const { geometry } = this.selection;
    return geometry === null || [...this.settings.values()].some(({ proven }) => proven === geometry);
  }

  /** Settings whose geometry a file should decide: contested ones, and those of the view while none of them is proven. */
  unprovenSettings(): UnprovenSettings[] {
    const { isTileProven, selection } = this;
    const wanted = new Map<TileSettings, UnprovenSettings>();
    for (const settings of this.settings.values()) {
      const isOfView = !isTileProven && settings.proven === null && settings.geometry === selection.geometry;
      if (isOfView || settings.isContested) wanted.set(settings, { settingsHash: settings.hash, shardIds: new Map() });
    }
    if (wanted.size === 0) return [];
    for (const { shardId, settings, tile } of this.shards.values()) {
      const byGeometry = wanted.get(settings)?.shardIds;
      const stated = tile ? nameOf(tile) : '';
      if (byGeometry) byGeometry.set(stated, [...(byGeometry.get(stated) ?? []), shardId]);
    }
    return [...wanted.values()].filter(({ shardIds }) => shardIds.size > 0);
  }

  /** Notes the geometry that a file with these settings has. */
  proveGeometry(settingsHash: string, tile: TileGeometry): void {
    this.settingsOf(settingsHash).proven = nameOf(tile);
    this.changed(this.corpora.values());
  }

  /** Number of utterances in the current view. */
  get size(): number {
    return [...this.selection.coverages.values()].reduce((sum, { sharded }) => sum + sharded, 0);
  }

  /** @returns a copy that later facts do not change. It looks at every utterance, so make one only when a round starts. */
  view(): TrainingView {
    const { geometry, coverages, digest } = this.selection;
    const utterances: ViewUtterance[] = [];
    for (const utterance of this.utterances.values()) {
      const coverage = utterance.version === null ? undefined : coverages.get(utterance.corpus);
      const held = coverage && utterance.rowsUnder(coverage.settings);
      if (held) utterances.push(viewUtterance(utterance, held));
    }
    utterances.sort((a, b) => (a.utteranceId < b.utteranceId ? -1 : 1));
    const used = [...coverages].filter(([, { sharded }]) => sharded > 0);
    return {
      digest,
      settings: Object.fromEntries(used.map(([{ name }, { settings }]) => [name, settings.hash])),
      settingsHash: commonest(used.map(([, coverage]) => coverage)),
      tile: geometry === null ? null : geometryOf(geometry),
      utterances,
    };
  }

  /** The contents of the index, to be written to a snapshot. Never change them. */
  get held(): { utterances: Iterable<IndexedUtterance>; shards: Iterable<IndexedShard> } {
    return { utterances: this.utterances.values(), shards: this.shards.values() };
  }

  /** The current choice of settings. It depends on earlier choices, so it does not follow from the facts alone. */
  get choice(): SettingsChoice {
    const { geometry } = this;
    const chosen = [...this.corpora.values()].flatMap(({ name, current }) => (current ? [[name, current.settings.hash] as const] : []));
    return { geometry, settings: Object.fromEntries(chosen) };
  }

  /** Takes up an earlier choice and keeps it until the index has caught up and sees which corpora may move. */
  resume({ geometry, settings }: SettingsChoice): void {
    this.geometry = geometry;
    for (const [name, hash] of Object.entries(settings)) {
      const corpus = this.corpusNamed(name);
      corpus.current = corpus.coverageOf(this.settingsOf(hash));
    }
    this.revision++;
  }

  /** Every live utterance and every utterance with tiles. */
  ids(): Iterable<string> {
    return this.utterances.keys();
  }

  /** Utterances that have rows in a shard. */
  idsIn(shardId: string): string[] {
    return this.shards.get(shardId)?.utterances.map(({ utteranceId }) => utteranceId) ?? [];
  }

  /**
   * Finds the tiles of a live utterance under any settings, also under those that the view does not use.
   * @returns null if the utterance is not alive
   */
  liveTiles(utteranceId: string, isUsable: (settingsHash: string) => boolean): LiveTiles | null {
    const utterance = this.utterances.get(utteranceId);
    if (!utterance || utterance.version === null) return null;
    const { version, ingestedAtSec } = utterance;
    let tiles: ViewUtterance | null = null;
    let settingsHash: string | null = null;
    for (let held = utterance.rows; held; held = held.next) {
      if (held.version !== version) continue;
      const { hash } = held.shard.settings;
      const isBetter = isUsable(hash) && (tiles === null || held.shard.shardId < tiles.shardId);
      if (isBetter) tiles = viewUtterance(utterance, held);
      if (isBetter || tiles === null) settingsHash = hash;
    }
    return { version, ingestedAtSec, tiles, settingsHash };
  }

  /** @returns the live utterances that are read from a shard, and the shard's stream */
  readFrom(shardId: string): { shardId: string; stream: Stream; utteranceIds: string[] } | null {
    const shard = this.shards.get(shardId);
    if (!shard) return null;
    const { coverages } = this.selection;
    const read = shard.utterances.filter((utterance) => {
      const coverage = coverages.get(utterance.corpus);
      return coverage && utterance.version !== null && utterance.rowsUnder(coverage.settings)?.shard === shard;
    });
    return { shardId, stream: shard.stream, utteranceIds: read.map(({ utteranceId }) => utteranceId) };
  }

  /** @returns the corpora with rows in the shard */
  private add(fact: ShardFact): Set<Corpus> {
    const { shardId, stream, sealedAt, tile } = fact;
    const settings = this.settingsOf(fact.settingsHash);
    settings.count(tile, 1);
    const shard: IndexedShard = { shardId, stream, settings, sealedAt, tile, utterances: [] };
    const corpora = new Set<Corpus>();
    for (const { utteranceId, version, firstRow, tileCount } of fact.utterances) {
      const utterance = this.utteranceOf(utteranceId);
      utterance.count(-1, versionDigest);
      utterance.addRows({ version, shard, firstRow, tileCount });
      utterance.count(1, versionDigest);
      if (utterance.version === version) this.changes++;
      shard.utterances.push(utterance);
      corpora.add(utterance.corpus);
    }
    for (const corpus of corpora) corpus.coverageOf(settings).addShard(shardId, Date.parse(sealedAt));
    this.shards.set(shardId, shard);
    return corpora;
  }

  /** @returns the corpora with rows in the shard */
  private withdraw(shard: IndexedShard): Set<Corpus> {
    const corpora = new Set<Corpus>();
    for (const utterance of shard.utterances) {
      utterance.count(-1, versionDigest);
      utterance.removeRows(shard);
      utterance.count(1, versionDigest);
      corpora.add(utterance.corpus);
    }
    for (const corpus of corpora) corpus.coverageOf(shard.settings).removeShard(shard.shardId);
    shard.settings.count(shard.tile, -1);
    this.shards.delete(shard.shardId);
    return corpora;
  }

  private utteranceOf(utteranceId: string): IndexedUtterance {
    let utterance = this.utterances.get(utteranceId);
    if (!utterance)
      this.utterances.set(utteranceId, (utterance = new IndexedUtterance(utteranceId, this.corpusNamed(corpusOf(utteranceId)))));
    return utterance;
  }

  private corpusNamed(name: string): Corpus {
    let corpus = this.corpora.get(name);
    if (corpus) return corpus;
    this.corpora.set(name, (corpus = new Corpus(name)));
    corpus.wanted = this.wantedBy(name);
    return corpus;
  }

  private wantedBy(corpus: string): Corpus['wanted'] {
    if (!this.wanted) return null;
    const { settingsHash, tile } = featureSettingsOf(this.wanted, corpus);
    return { hash: settingsHash, geometry: nameOf(tile) };
  }

  private settingsOf(hash: string): TileSettings {
    let settings = this.settings.get(hash);
    if (!settings) this.settings.set(hash, (settings = new TileSettings(hash)));
    return settings;
  }

  private dropIfUnused(utterance: IndexedUtterance): void {
    if (utterance.isUnused) this.utterances.delete(utterance.utteranceId);
  }

  private changed(corpora: Iterable<Corpus>): void {
    this.revision++;
    if (!this.isCaughtUp) return;
    const geometry = this.hasOneGeometry ? this.geometry : nextGeometry(this.corpora.values(), this.geometry);
    if (geometry === this.geometry) return this.move(corpora);
    this.geometry = geometry;
    // A choice for another geometry no longer counts, even if its hash seems to have this geometry once its shards are withdrawn.
    for (const corpus of this.corpora.values()) corpus.current = null;
    this.move(this.corpora.values());
  }

  private move(corpora: Iterable<Corpus>): void {
    for (const corpus of corpora) corpus.current = nextCoverage(corpus, this.geometry);
  }

  /** True if all settings have the current geometry. Then no choice is left, and no need to look at every corpus. */
  private get hasOneGeometry(): boolean {
    for (const { geometry } of this.settings.values()) if (geometry !== this.geometry) return false;
    return this.shards.size > 0;
  }

  private get selection(): Selection {
    if (this.kept?.revision !== this.revision) this.kept = this.select();
    return this.kept;
  }

  private select(): Selection {
    const geometry = this.isCaughtUp ? this.geometry : (this.geometry ?? nextGeometry(this.corpora.values(), null));
    const coverages = new Map<Corpus, Coverage>();
    let digest = 0n;
    for (const corpus of this.corpora.values()) {
      const isCurrent = corpus.current && corpus.current.settings.geometry === geometry;
      const coverage = isCurrent || this.isCaughtUp ? corpus.current : nextCoverage(corpus, geometry);
      if (!coverage) continue;
      coverages.set(corpus, coverage);
      digest = addDigest(digest, coverage.digest);
      if (coverage.sharded > 0) digest = addDigest(digest, settingsDigest(corpus.name, coverage.settings.hash));
    }
    return { revision: this.revision, geometry, coverages, digest: digestText(digest) };
  }
}

/** Utterance ids are `<corpus>/<path>`. */

function commonest(coverages: Coverage[]): string | null {
  const tiles = new Map<string, number>();
  for (const { settings, tiles: count } of coverages) tiles.set(settings.hash, (tiles.get(settings.hash) ?? 0) + count);
  return [...tiles].sort(([a, inA], [b, inB]) => inB - inA || (a < b ? -1 : 1))[0]?.[0] ?? null;
}

function viewUtterance(
  { utteranceId, version, traits, ingestedAtSec }: IndexedUtterance,
  { shard, firstRow, tileCount }: VersionRows,
): ViewUtterance {
  const { labels = {}, split = 'train', withheld = false } = traits ?? {};
  return {
    utteranceId,
    version: version ?? '',
    objectKey: corporaPrefix + utteranceId,
    stream: shard.stream,
    labels,
    split,
    withheld,
    ...(ingestedAtSec > 0 && { ingestedAtSec }),
    shardId: shard.shardId,
    shardObjectKey: shardKey(shard.settings.hash, shard.shardId),
    firstRow,
    tileCount,
  };
}

/**
 * Makes a view of these utterances, for example of some from another view.
 * @param source settings and geometry of their tiles; without it all tiles have the one hash
 */
export function viewOf(
  settingsHash: string | null,
  utterances: ViewUtterance[],
  source?: Pick<TrainingView, 'settings' | 'tile'>,
): TrainingView {
  let digest = 0n;
  const settings: Record<string, string> = {};
  for (const { utteranceId, version } of utterances) {
    digest = addDigest(digest, versionDigest(utteranceId, version));
    const corpus = corpusOf(utteranceId);
    const hash = source?.settings[corpus] ?? settingsHash;
    if (hash === null || settings[corpus] === hash) continue;
    settings[corpus] = hash;
    digest = addDigest(digest, settingsDigest(corpus, hash));
  }
  return { digest: digestText(digest), settings, settingsHash, tile: source?.tile ?? null, utterances };
}

/** True for utterances that training may use: those of training speakers that are not withheld for speaker identification. */
export const isTrained = (utterance: ViewUtterance): boolean => utterance.split === 'train' && !utterance.withheld;

/** @returns ingestion time of the newest utterance that a model of this view can learn from; null if unknown */
export function newestLearntAt(view: TrainingView): string | null {
  let newest = 0;
  for (const utterance of view.utterances) if (isTrained(utterance)) newest = Math.max(newest, utterance.ingestedAtSec ?? 0);
  return newest > 0 ? new Date(newest * 1000).toISOString() : null;
}

/** Everything that a run has ever trained on. A late label may move an utterance to dev or test, but the model has heard it. */
export interface SeenIds {
  utteranceIds: ReadonlySet<string>;
  speakerIds: ReadonlySet<string>;
}

/** @returns utterances that may be scored: of dev and test speakers never trained on, and withheld ones never trained on */
export function heldOut(view: TrainingView, seen: SeenIds): ViewUtterance[] {
  return view.utterances.filter((utterance) => {
    if (seen.utteranceIds.has(utterance.utteranceId)) return false;
    const { split, withheld, labels } = utterance;
    return split === 'train' ? withheld : !seen.speakerIds.has(labels.speakerId ?? '');
  });
}

/** Tiles that training may use, from both shard topics. @param isLabelled true if the emotion head can learn from it */
export function trainedTiles(view: TrainingView, isLabelled: (utterance: ViewUtterance) => boolean): ViewCounts {
  const counts: ViewCounts = { labelled: 0, unlabelled: 0 };
  for (const utterance of view.utterances.filter(isTrained))
    counts[isLabelled(utterance) ? 'labelled' : 'unlabelled'] += utterance.tileCount;
  return counts;
}

/** @throws PipelineError SPEAKER_LEAK if a speaker is in two splits, because then no score would mean anything */
export function refuseLeaks(view: TrainingView): void {
  const splitOf = new Map<string, Split>();
  for (const { labels, split } of view.utterances) {
    if (labels.speakerId === undefined) continue;
    const before = splitOf.get(labels.speakerId) ?? split;
    if (before !== split)
      throw new PipelineError(
        'SPEAKER_LEAK',
        `Speaker ${labels.speakerId} is in ${before} and in ${split}. Give all rows of the speaker the same split.`,
      );
    splitOf.set(labels.speakerId, split);
  }
}
