/**
 * The trainer's index: which tiles count. It keeps every shard that holds a version of an utterance and reads from the
 * lowest shard id, so that a duplicate shard adds nothing; a tile counts only while its version is its utterance's current
 * one, and lies under the settings that its corpus has moved to (choose-settings.ts).
 *
 * A fact costs what it says: a shard its rows, an utterance itself. Counts and digest are kept; only a view looks at all.
 *
 * Delivery: facts may come twice, late and in any order between the topics; the index is the same in the end. Until
 * `caughtUp` the settings are chosen from all that is there, so that the order of a first reading decides nothing.
 */
import type { DeadLetter } from '#contracts/dead-letters.js';
import { featureSettingsOf, type FeatureSettingsChosen } from '#contracts/feature-settings.js';
import { carriesTarget, type EmotionTarget, type Labels, type Split, type Stream } from '#contracts/labels.js';
import { corporaPrefix, shardKey } from '#contracts/object-keys.js';
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
} from './choose-settings.js';
import { type IndexedShard, IndexedUtterance, kindCarriesTarget, type Place, TraitsTable } from './indexed-utterance.js';
import { addDigest, digestText, settingsDigest, versionDigest } from './view-digest.js';
import { WaitingTraces } from './waiting-traces.js';

/** Of the facts, what the index needs. */
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
  /** Seconds since 1970; not known of files in a folder. */
  ingestedAtSec?: number;
  /** Where its tiles are. */
  shardId: string;
  shardObjectKey: string;
  firstRow: number;
  tileCount: number;
}

/** What one round trains and is scored on, frozen when the round starts. */
export interface TrainingView {
  /** Of the set of utterance versions, whatever their order (view-digest.ts). */
  digest: string;
  /** Corpus to the settings that its tiles have. */
  settings: Record<string, string>;
  /** The settings that most tiles have. */
  settingsHash: string | null;
  /** Of all of its tiles; null when it was never said. */
  tile: TileGeometry | null;
  /** In order of id. */
  utterances: ViewUtterance[];
}

export interface ViewCounts {
  labelled: number;
  unlabelled: number;
}

/** The tile geometry of all, as `rowsxframes`, and the settings hash of each corpus. */
export interface SettingsChoice {
  geometry: string | null;
  settings: Record<string, string>;
}

/** What is read of the index as it is now. */
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
  /** Of utterances that wait for their first round. */
  readonly traces = new WaitingTraces();
  private wanted: SettingsFact | null = null;
  private geometry: string | null = null;
  private isCaughtUp = false;
  private kept: Selection | undefined;
  /** Rises with every change that may change the view. */
  revision = 0;
  /** Rises with every utterance that gets tiles, loses them or changes while it has some. */
  changes = 0;

  applyUtterance(utteranceId: string, fact: UtteranceFact | null): void {
    if (!fact) this.traces.forget(utteranceId);
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
    this.forget(utterance);
    this.changed([utterance.corpus]);
  }

  applyShard(shardId: string, fact: ShardFact | null): void {
    const known = this.shards.get(shardId);
    const isSame = known ? fact?.sealedAt === known.sealedAt && String(fact.tile) === String(known.tile) : !fact;
    if (isSame) return;
    const before = known ? this.withdraw(known) : [];
    const after = fact ? this.add(fact) : [];
    for (const utterance of known?.utterances ?? []) this.forget(utterance);
    this.changed(new Set([...before, ...after]));
  }

  /** A version that cannot be made into tiles under some settings need not be waited for. */
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
   * Drops the refusals of utterances that were deleted, and of versions that were replaced. A refusal that is younger than
   * an hour stays: the record of its version may not have been read yet. A version that comes back is refused anew.
   */
  dropOldRefusals(nowMs = Date.now()): void {
    const beforeSec = Math.floor(nowMs / 1000) - refusalsKeptSec;
    for (const utterance of this.utterances.values()) {
      if (!utterance.refusals) continue;
      utterance.dropRefusals(beforeSec);
      this.forget(utterance);
    }
  }

  /** Under which settings features makes the tiles of each corpus from now on: where a corpus moves to, once it is whole there. */
  applySettings(fact: SettingsFact | null): void {
    this.wanted = fact;
    for (const corpus of this.corpora.values()) corpus.wanted = this.wantedBy(corpus.name);
    this.changed(this.corpora.values());
  }

  /** All that was there at the start has been applied: from now on each corpus stays with its settings until it may move. */
  caughtUp(): void {
    this.isCaughtUp = true;
    this.changed(this.corpora.values());
  }

  /** Tiles that may be learnt from; labelled are those that carry what the emotion head learns, in whatever shard topic. */
  counts(target: EmotionTarget): ViewCounts {
    const counts: ViewCounts = { labelled: 0, unlabelled: 0 };
    for (const { trainedTiles } of this.selection.coverages.values())
      trainedTiles.forEach((tiles, kind) => (counts[kindCarriesTarget(kind, target) ? 'labelled' : 'unlabelled'] += tiles));
    return counts;
  }

  /** Of the view as it is now. */
  get digest(): string {
    return this.selection.digest;
  }

  /** The geometry of the view's tiles; null while there are none. */
  get tile(): TileGeometry | null {
    const { geometry } = this.selection;
    return geometry === null ? null : geometryOf(geometry);
  }

  /** Utterances of the view as it is now. */
  get size(): number {
    return [...this.selection.coverages.values()].reduce((sum, { sharded }) => sum + sharded, 0);
  }

  /** @returns a copy that later facts do not change. It looks at every utterance: made when a round starts, and not before */
  view(): TrainingView {
    const { geometry, coverages, digest } = this.selection;
    const utterances: ViewUtterance[] = [];
    for (const utterance of this.utterances.values()) {
      const coverage = utterance.version === null ? undefined : coverages.get(utterance.corpus);
      const place = coverage && utterance.placeUnder(coverage.settings);
      if (place) utterances.push(viewUtterance(utterance, place));
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

  /** What the index was made of, as it is held: to be written, never to be changed. */
  get held(): { utterances: Iterable<IndexedUtterance>; shards: Iterable<IndexedShard> } {
    return { utterances: this.utterances.values(), shards: this.shards.values() };
  }

  /** What has been chosen so far. The facts do not say it all: it matters what was there before. */
  get choice(): SettingsChoice {
    const { geometry } = this;
    const chosen = [...this.corpora.values()].flatMap(({ name, current }) => (current ? [[name, current.settings.hash] as const] : []));
    return { geometry, settings: Object.fromEntries(chosen) };
  }

  /** Stays with what was chosen before, until it has caught up and sees what may move. */
  resume({ geometry, settings }: SettingsChoice): void {
    this.geometry = geometry;
    for (const [name, hash] of Object.entries(settings)) {
      const corpus = this.corpusNamed(name);
      corpus.current = corpus.coverageOf(this.settingsOf(hash));
    }
    this.revision++;
  }

  /** The live utterances that are read from a shard, and its stream. */
  readFrom(shardId: string): { shardId: string; stream: Stream; utteranceIds: string[] } | null {
    const shard = this.shards.get(shardId);
    if (!shard) return null;
    const { coverages } = this.selection;
    const read = shard.utterances.filter((utterance) => {
      const coverage = coverages.get(utterance.corpus);
      return coverage && utterance.version !== null && utterance.placeUnder(coverage.settings)?.shard === shard;
    });
    return { shardId, stream: shard.stream, utteranceIds: read.map(({ utteranceId }) => utteranceId) };
  }

  /** @returns the corpora that have rows in it */
  private add(fact: ShardFact): Set<Corpus> {
    const { shardId, stream, sealedAt, tile } = fact;
    const settings = this.settingsOf(fact.settingsHash);
    settings.count(tile, 1);
    const shard: IndexedShard = { shardId, stream, settings, sealedAt, tile, utterances: [] };
    const corpora = new Set<Corpus>();
    for (const { utteranceId, version, firstRow, tileCount } of fact.utterances) {
      const utterance = this.utteranceOf(utteranceId);
      utterance.count(-1, versionDigest);
      utterance.addPlace({ version, shard, firstRow, tileCount });
      utterance.count(1, versionDigest);
      if (utterance.version === version) this.changes++;
      shard.utterances.push(utterance);
      corpora.add(utterance.corpus);
    }
    for (const corpus of corpora) corpus.coverageOf(settings).addShard(shardId, Date.parse(sealedAt));
    this.shards.set(shardId, shard);
    return corpora;
  }

  /** @returns the corpora that have rows in it */
  private withdraw(shard: IndexedShard): Set<Corpus> {
    const corpora = new Set<Corpus>();
    for (const utterance of shard.utterances) {
      utterance.count(-1, versionDigest);
      utterance.removePlaces(shard);
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
      this.utterances.set(utteranceId, (utterance = new IndexedUtterance(utteranceId, this.corpusNamed(corpusNameOf(utteranceId)))));
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

  private forget(utterance: IndexedUtterance): void {
    if (utterance.isForgotten) this.utterances.delete(utterance.utteranceId);
  }

  private changed(corpora: Iterable<Corpus>): void {
    this.revision++;
    if (!this.isCaughtUp) return;
    const geometry = this.hasOneGeometry ? this.geometry : nextGeometry(this.corpora.values(), this.geometry);
    if (geometry === this.geometry) return this.move(corpora);
    this.geometry = geometry;
    // What was chosen for another geometry counts no more, whatever its hash says now that its shards may be withdrawn.
    for (const corpus of this.corpora.values()) corpus.current = null;
    this.move(this.corpora.values());
  }

  private move(corpora: Iterable<Corpus>): void {
    for (const corpus of corpora) corpus.current = nextCoverage(corpus, this.geometry);
  }

  /** Then there is nothing to choose, and no need to look at every corpus. */
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
const corpusNameOf = (utteranceId: string): string => utteranceId.slice(0, Math.max(0, utteranceId.indexOf('/')));

function commonest(coverages: Coverage[]): string | null {
  const tiles = new Map<string, number>();
  for (const { settings, tiles: count } of coverages) tiles.set(settings.hash, (tiles.get(settings.hash) ?? 0) + count);
  return [...tiles].sort(([a, inA], [b, inB]) => inB - inA || (a < b ? -1 : 1))[0]?.[0] ?? null;
}

function viewUtterance(
  { utteranceId, version, traits, ingestedAtSec }: IndexedUtterance,
  { shard, firstRow, tileCount }: Place,
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
 * A view of these utterances, for instance of some of another view's.
 * @param of what is known of their tiles; without it all have the one hash
 */
export function viewOf(
  settingsHash: string | null,
  utterances: ViewUtterance[],
  of?: Pick<TrainingView, 'settings' | 'tile'>,
): TrainingView {
  let digest = 0n;
  const settings: Record<string, string> = {};
  for (const { utteranceId, version } of utterances) {
    digest = addDigest(digest, versionDigest(utteranceId, version));
    const corpus = corpusNameOf(utteranceId);
    const hash = of?.settings[corpus] ?? settingsHash;
    if (hash === null || settings[corpus] === hash) continue;
    settings[corpus] = hash;
    digest = addDigest(digest, settingsDigest(corpus, hash));
  }
  return { digest: digestText(digest), settings, settingsHash, tile: of?.tile ?? null, utterances };
}

/** What may be learnt from: training speakers, without the utterances withheld for speaker identification. */
export const isTrained = (utterance: ViewUtterance): boolean => utterance.split === 'train' && !utterance.withheld;

/** When the newest utterance that may be learnt from was ingested: what a model of this view knows of nothing after. Null: not known. */
export function newestLearntAt(view: TrainingView): string | null {
  let newest = 0;
  for (const utterance of view.utterances) if (isTrained(utterance)) newest = Math.max(newest, utterance.ingestedAtSec ?? 0);
  return newest > 0 ? new Date(newest * 1000).toISOString() : null;
}

/** What a run has ever trained on: late labels may move it out of training, but a model cannot unhear it. */
export interface Heard {
  utteranceIds: ReadonlySet<string>;
  speakerIds: ReadonlySet<string>;
}

/** What may be scored: dev and test speakers that were never trained on, and withheld utterances that never were. */
export function heldOut(view: TrainingView, heard: Heard): ViewUtterance[] {
  return view.utterances.filter((utterance) => {
    if (heard.utteranceIds.has(utterance.utteranceId)) return false;
    const { split, withheld, labels } = utterance;
    return split === 'train' ? withheld : !heard.speakerIds.has(labels.speakerId ?? '');
  });
}

/** Tiles that may be learnt from; labelled are those that carry what the emotion head learns, in whatever shard topic. */
export function trainedTiles(view: TrainingView, target: EmotionTarget): ViewCounts {
  const counts: ViewCounts = { labelled: 0, unlabelled: 0 };
  for (const utterance of view.utterances.filter(isTrained))
    counts[carriesTarget(utterance.labels, target) ? 'labelled' : 'unlabelled'] += utterance.tileCount;
  return counts;
}

/** @throws PipelineError SPEAKER_LEAK if a speaker is in two splits: no score would mean anything */
export function refuseLeaks(view: TrainingView): void {
  const splitOf = new Map<string, Split>();
  for (const { labels, split } of view.utterances) {
    if (labels.speakerId === undefined) continue;
    const before = splitOf.get(labels.speakerId) ?? split;
    if (before !== split)
      throw new PipelineError(
        'SPEAKER_LEAK',
        `Speaker ${labels.speakerId} is in ${before} and in ${split}. Give all of a speaker's rows one split.`,
      );
    splitOf.set(labels.speakerId, split);
  }
}
