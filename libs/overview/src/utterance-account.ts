/**
 * Counts all utterances as alive, in shards, dead-lettered or in flight, and counts their tiles.
 *
 * The counts refer to the feature settings that features uses now for the corpus. A version with only tiles of other settings is
 * in flight, because features still has to make its new tiles. The totals of tiles and of trainable utterances include older
 * settings, because the trainer uses older tiles until a corpus is reprocessed.
 *
 * Each record updates counters. A record of a shard costs as much as its rows, and a question costs as much as its answer. A
 * change of feature settings counts all utterances again. Seconds are summed as whole microseconds, so that subtraction is exact.
 */
import { featureSettingsOf, type FeatureSettingsChosen } from '#contracts/feature-settings.js';
import type { Stream } from '#contracts/labels.js';
import { type LeftOut, leftOutReasons, type ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import type { CorpusRefusals } from './corpus-refusals.js';
import { LabelledSpeakers, type SpeakerCounts } from './labelled-speakers.js';
import type { RefusedRows } from './refused-rows.js';
import { NewestLearnable } from './newest-learnable.js';
import type { CorpusCoverage, Reconciliation, TopicPosition, SettingsMove, StreamTotals } from './overview-snapshot.js';
import { type HeldTiles, type TrackedShard, TrackedUtterance } from './tracked-utterance.js';

interface CorpusCount {
  live: number;
  /** Number of utterances in a shard or dead-lettered under the current settings. */
  covered: number;
  /** Number of other utterances that have tiles of other settings. */
  behind: number;
}

const micros = (sec: number): number => Math.round(sec * 1e6);

export class UtteranceAccount {
  live = 0;
  /** Number of trainable utterances in shards. */
  trainable = 0;
  /** Number of open dead letters: those whose utterance has not reached a shard since. */
  openLetters = 0;
  private inShards = 0;
  private deadLettered = 0;
  private cutMicros = 0;
  private readonly leftOut = Object.fromEntries(leftOutReasons.map((reason) => [reason, 0])) as Required<LeftOut>;
  private readonly speakers = new LabelledSpeakers();
  private readonly inFlight = new Set<string>();
  private readonly splits = new Map<string, number>();
  private readonly corpusCounts = new Map<string, CorpusCount>();
  private readonly totals = { labelled: { ...noTotals }, unlabelled: { ...noTotals } };
  private readonly utterances = new Map<string, TrackedUtterance>();
  private readonly shards = new Map<string, TrackedShard>();
  private readonly newest = new NewestLearnable();
  private settings: FeatureSettingsChosen | null = null;

  constructor(
    private readonly refusals: CorpusRefusals,
    private readonly refusedRows: RefusedRows,
  ) {}

  applyUtterance(utteranceId: string, fact: UtteranceIngested | null, place?: TopicPosition): void {
    this.change(utteranceId, (utterance) => {
      utterance.fact = fact;
      utterance.place = fact && place ? { partition: place.partition, offset: place.offset } : null;
      this.newest.add(utterance);
    });
    if (fact) this.refusals.ingested(fact.corpus, fact.ingestedAt);
  }

  applySettings(fact: FeatureSettingsChosen | null): void {
    const hashesOf = (): string => JSON.stringify([...this.corpusCounts.keys()].map((corpus) => this.settingsHashOf(corpus) ?? null));
    const before = this.settings;
    const hashesBefore = hashesOf();
    this.settings = fact;
    if (hashesOf() === hashesBefore) return;
    this.settings = before;
    for (const utterance of this.utterances.values()) this.count(utterance, -1);
    this.settings = fact;
    for (const utterance of this.utterances.values()) this.count(utterance, 1);
  }

  applyShard(shardId: string, fact: ShardSealed | null): void {
    const known = this.shards.get(shardId);
    if (known) {
      this.totals[known.stream].shards--;
      this.shards.delete(shardId);
      for (const { utteranceId } of known.utterances) this.change(utteranceId, (utterance) => utterance.removeTiles(known));
    }
    if (!fact) return;
    const shard: TrackedShard = { shardId, settingsHash: fact.settingsHash, stream: fact.stream, utterances: [] };
    this.totals[shard.stream].shards++;
    this.shards.set(shardId, shard);
    for (const { utteranceId, version, tileCount, audioSec, cutSec, leftOut } of fact.utterances)
      this.change(utteranceId, (utterance) => {
        utterance.addTiles({ version, shard, tileCount, audioSec, cutSec, leftOut });
        shard.utterances.push(utterance);
      });
  }

  /** Applies a dead letter to its utterance. */
  change(utteranceId: string, apply: (utterance: TrackedUtterance) => void): void {
    const utterance = this.utterances.get(utteranceId) ?? new TrackedUtterance(utteranceId);
    this.count(utterance, -1);
    apply(utterance);
    this.count(utterance, 1);
    if (utterance.isForgotten) this.utterances.delete(utteranceId);
    else this.utterances.set(utteranceId, utterance);
  }

  get(utteranceId: string): TrackedUtterance | undefined {
    return this.utterances.get(utteranceId);
  }

  /** True if the utterance is in a shard under the current settings. */
  isInShard(utteranceId: string): boolean {
    const utterance = this.utterances.get(utteranceId);
    return utterance?.fact ? utterance.tilesUnder(this.settingsHashOf(utterance.fact.corpus)) !== undefined : false;
  }

  /** @returns undefined if features has not announced the settings */
  settingsHashOf(corpus: string): string | undefined {
    return this.settings ? featureSettingsOf(this.settings, corpus).settingsHash : undefined;
  }

  /** The time of ingest of the newest trainable utterance that is alive; null if there is none. */
  get newestLearnableAt(): string | null {
    return this.newest.at;
  }

  get balance(): Omit<Reconciliation, 'inFlight'> & { inFlight: number } {
    const { inShards, deadLettered, inFlight } = this;
    return { utterances: inShards + deadLettered + inFlight.size, inShards, deadLettered, inFlight: inFlight.size };
  }

  get inFlightIds(): string[] {
    return [...this.inFlight];
  }

  get liveByCorpus(): Record<string, number> {
    return Object.fromEntries([...this.corpusCounts].map(([corpus, { live }]) => [corpus, live]));
  }

  get liveBySplit(): Record<string, number> {
    return Object.fromEntries(this.splits);
  }

  get streamTotals(): Record<Stream, StreamTotals> {
    const shown = ({ shards, tiles, utterances, audioMicros }: typeof noTotals): StreamTotals => ({
      shards,
      tiles,
      utterances,
      audioSec: audioMicros / 1e6,
    });
    return { labelled: shown(this.totals.labelled), unlabelled: shown(this.totals.unlabelled) };
  }

  get silenceCutSec(): number {
    return this.cutMicros / 1e6;
  }

  /** Tiles of live utterances that features did not make, by reason. */
  get tilesLeftOut(): Required<LeftOut> {
    return { ...this.leftOut };
  }

  get labelledSpeakers(): Record<string, SpeakerCounts> {
    return this.speakers.byCorpus;
  }

  /** Corpora with tiles of other settings that do not have all tiles of the current settings yet. */
  get moves(): SettingsMove[] {
    return [...this.corpusCounts].flatMap(([corpus, { live, covered, behind }]) => {
      const settingsHash = this.settingsHashOf(corpus);
      return settingsHash !== undefined && behind > 0 ? [{ corpus, settingsHash, covered, live }] : [];
    });
  }

  /** The progress of a corpus under the settings with this hash. This scans every utterance. */
  coverageUnder(corpus: string, settingsHash: string): CorpusCoverage {
    const coverage: CorpusCoverage = { live: 0, covered: 0, missing: [], missingAudioSec: 0 };
    for (const utterance of this.utterances.values()) {
      if (utterance.fact?.corpus !== corpus) continue;
      coverage.live++;
      if (utterance.tilesUnder(settingsHash) || utterance.isRefusedUnder(settingsHash)) coverage.covered++;
      else {
        coverage.missing.push(utterance.fact);
        coverage.missingAudioSec += utterance.tilesUnder(undefined)?.audioSec ?? 0;
      }
    }
    return coverage;
  }

  /** Adds an utterance to all counters, or subtracts it before it changes. */
  private count(utterance: TrackedUtterance, sign: 1 | -1): void {
    const { fact, utteranceId } = utterance;
    this.refusals.count(utterance, sign);
    this.refusedRows.count(utterance, sign);
    if (!fact) {
      // An utterance that ingest itself dead-lettered has no record, but it counts.
      if (utterance.isRefusedAtIngest) this.deadLettered += sign;
      this.openLetters += sign * utterance.letters;
      return;
    }
    const settingsHash = this.settingsHashOf(fact.corpus);
    const tiles = utterance.tilesUnder(settingsHash);
    const isRefused = !tiles && utterance.isRefusedUnder(settingsHash);
    const tilesOfAny = tiles ?? utterance.tilesUnder(undefined);
    this.live += sign;
    add(this.splits, fact.split, sign);
    this.speakers.count(fact, sign);
    if (tiles) this.inShards += sign;
    else if (isRefused) this.deadLettered += sign;
    else if (sign === 1) this.inFlight.add(utteranceId);
    else this.inFlight.delete(utteranceId);
    if (!tiles) this.openLetters += sign * utterance.letters;
    this.countCorpus(fact.corpus, sign, { isCovered: Boolean(tiles) || isRefused, hasTiles: tilesOfAny !== undefined });
    if (!tilesOfAny) return;
    if (utterance.learnableSince !== null) this.trainable += sign;
    this.countTiles(tilesOfAny, sign);
  }

  private countCorpus(corpus: string, sign: 1 | -1, { isCovered, hasTiles }: { isCovered: boolean; hasTiles: boolean }): void {
    const count = this.corpusCounts.get(corpus) ?? { live: 0, covered: 0, behind: 0 };
    count.live += sign;
    if (isCovered) count.covered += sign;
    else if (hasTiles) count.behind += sign;
    if (count.live === 0) this.corpusCounts.delete(corpus);
    else this.corpusCounts.set(corpus, count);
  }

  private countTiles({ shard, tileCount, audioSec, cutSec, leftOut = {} }: HeldTiles, sign: 1 | -1): void {
    const total = this.totals[shard.stream];
    total.utterances += sign;
    total.tiles += sign * tileCount;
    total.audioMicros += sign * micros(audioSec);
    this.cutMicros += sign * micros(cutSec);
    for (const reason of leftOutReasons) this.leftOut[reason] += sign * (leftOut[reason] ?? 0);
  }
}

const noTotals = { shards: 0, tiles: 0, utterances: 0, audioMicros: 0 };

function add(counts: Map<string, number>, name: string, sign: 1 | -1): void {
  const count = (counts.get(name) ?? 0) + sign;
  if (count === 0) counts.delete(name);
  else counts.set(name, count);
}
