/**
 * The state of the whole pipeline, folded from its facts: what is alive, what is in shards, what was put aside, how
 * training goes and how good the models are. The dashboard, `undertone status` and `undertone verify` all show this.
 *
 * In shards, or put aside, is what is so under the feature settings that features uses now for the corpus. A version that only
 * has tiles of other settings is in flight: its tiles of now are still to be made. What tiles there are in all, and what may
 * be learnt from, counts older ones too, as the trainer does until a corpus has moved over.
 *
 * Delivery: facts may come twice and in any order between topics; applying one again changes nothing.
 */
import type { CheckpointSaved } from '#contracts/checkpoints.js';
import { deadLetterIdentity, type DeadLetter } from '#contracts/dead-letters.js';
import type { ModelEvaluated } from '#contracts/evaluations.js';
import { featureSettingsOf, type FeatureSettingsChosen } from '#contracts/feature-settings.js';
import { emotionTargets, streams, type EmotionTarget, type Stream } from '#contracts/labels.js';
import type { ModelPromoted, ModelRejected, PromotionFact } from '#contracts/promotions.js';
import type { ShardSealed } from '#contracts/shards.js';
import type { DevChecked, RoundFinished, RoundStarted, StepTrained, TrainingFact } from '#contracts/training.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { type ModelScores, ScoresByModel } from './scores-by-model.js';

export interface StreamTotals {
  shards: number;
  /** Of live utterances, each counted once. */
  tiles: number;
  utterances: number;
  audioSec: number;
}

export interface Reconciliation {
  utterances: number;
  inShards: number;
  deadLettered: number;
  /** Not in a shard and not put aside: on their way, or lost. */
  inFlight: string[];
}

/** How far a corpus is under some feature settings. */
export interface CorpusCoverage {
  live: number;
  /** In a shard, or put aside. */
  covered: number;
  /** All others. */
  missing: UtteranceIngested[];
  /** Of those that are missing, where tiles of other settings say how long they are. */
  missingAudioSec: number;
}

/** A corpus whose tiles are made anew under other settings. */
export interface SettingsMove {
  corpus: string;
  settingsHash: string;
  covered: number;
  live: number;
}

/** Where a record stands in its topic. */
export interface RecordPlace {
  partition: number;
  offset: string;
}

export interface HistoryPoint {
  runId: string;
  step: number;
  task: string;
  split: string;
  ua: number;
  wa: number;
  at: string;
}

/** What was decided about the models of a target. */
export interface PromotionState {
  target: EmotionTarget;
  champion: ModelPromoted | null;
  /** UA of the champion on dev speakers; null where it was not scored there. */
  championUa: number | null;
  /** The latest challenger that was not promoted. */
  rejected: ModelRejected | null;
}

export interface OverviewSnapshot {
  at: string;
  utterances: { live: number; byCorpus: Record<string, number>; bySplit: Record<string, number> };
  streams: Record<Stream, StreamTotals>;
  silenceCutSec: number;
  /** Corpora on their way to other feature settings. */
  moves: SettingsMove[];
  reconciliation: Omit<Reconciliation, 'inFlight'> & { inFlight: number };
  deadLetters: {
    total: number;
    byCode: Record<string, number>;
    latest: { key: string; stage: string; code: string; message: string; at: string }[];
  };
  training: { started: RoundStarted | null; checked: DevChecked | null; finished: RoundFinished | null; steps: StepTrained[] };
  checkpoint: CheckpointSaved | null;
  /** The newest of each task and split. */
  evaluations: ModelEvaluated[];
  /** Of each target about which anything was decided. */
  promotions: PromotionState[];
  /** UA and WA of every checkpoint, in order of time. */
  history: HistoryPoint[];
}

interface TilesOfVersion {
  settingsHash: string;
  stream: Stream;
  tileCount: number;
  audioSec: number;
  cutSec: number;
}

const keptSteps = 600;
const keptPoints = 2_000;
const latestDeadLetters = 20;

export class PipelineOverview {
  private readonly utterances = new Map<string, UtteranceIngested>();
  private readonly shards = new Map<string, ShardSealed>();
  /** `<utterance>@<version>`, then shard id: a duplicate shard adds nothing, a withdrawn one takes nothing of another's. */
  private readonly tiles = new Map<string, Map<string, TilesOfVersion>>();
  /** By utterance id, where its record stands. */
  private readonly places = new Map<string, RecordPlace>();
  private settings: FeatureSettingsChosen | null = null;
  /** `<utterance>@<version>` to the feature settings under which it can never succeed. */
  private readonly refusals = new Map<string, Set<string>>();
  private readonly letters = new Map<string, DeadLetter>();
  private steps: StepTrained[] = [];
  private started: RoundStarted | null = null;
  private checked: DevChecked | null = null;
  private finished: RoundFinished | null = null;
  private checkpoint: CheckpointSaved | null = null;
  /** The newest of each task and split, whole; of the others only the points of a line. */
  private readonly evaluations = new Map<string, ModelEvaluated>();
  private readonly points = new Map<string, HistoryPoint>();
  private readonly scores = new ScoresByModel();
  private readonly champions = new Map<EmotionTarget, ModelPromoted>();
  private readonly rejections = new Map<EmotionTarget, ModelRejected>();

  applyUtterance(utteranceId: string, fact: UtteranceIngested | null, place?: RecordPlace): void {
    if (fact) this.utterances.set(utteranceId, fact);
    else this.utterances.delete(utteranceId);
    if (fact && place) this.places.set(utteranceId, { partition: place.partition, offset: place.offset });
    else this.places.delete(utteranceId);
  }

  applySettings(fact: FeatureSettingsChosen | null): void {
    this.settings = fact;
  }

  applyShard(shardId: string, fact: ShardSealed | null): void {
    const shard = fact ?? this.shards.get(shardId);
    if (!shard) return;
    for (const { utteranceId, version, tileCount, audioSec, cutSec } of shard.utterances) {
      const name = `${utteranceId}@${version}`;
      const places = this.tiles.get(name) ?? new Map<string, TilesOfVersion>();
      if (fact) places.set(shardId, { settingsHash: shard.settingsHash, stream: shard.stream, tileCount, audioSec, cutSec });
      else places.delete(shardId);
      // Versions that no shard holds any more are forgotten, or every overwritten recording would leave a trace for ever.
      if (places.size > 0) this.tiles.set(name, places);
      else this.tiles.delete(name);
    }
    if (fact) this.shards.set(shardId, fact);
    else this.shards.delete(shardId);
  }

  applyDeadLetter(letter: DeadLetter): void {
    this.letters.set(deadLetterIdentity(letter), letter);
    const { stage, settingsHash, utteranceId, version } = letter;
    if (stage !== 'features' || settingsHash === undefined || utteranceId === undefined || version === undefined) return;
    const name = `${utteranceId}@${version}`;
    this.refusals.set(name, (this.refusals.get(name) ?? new Set()).add(settingsHash));
  }

  applyTraining(fact: TrainingFact): void {
    if (fact.type === 'RoundStarted') this.started = fact;
    else if (fact.type === 'DevChecked') this.checked = fact;
    else if (fact.type === 'RoundFinished') this.finished = fact;
    else {
      // A round that was taken up again repeats steps: the later report stands.
      this.steps = this.steps.filter((step) => step.runId === fact.runId && step.step < fact.step);
      this.steps.push(fact);
      if (this.steps.length > keptSteps) this.steps = this.steps.filter((_, index) => index % 2 === 0 || index === this.steps.length - 1);
    }
  }

  applyCheckpoint(fact: CheckpointSaved | null): void {
    if (fact && (!this.checkpoint || fact.savedAt >= this.checkpoint.savedAt)) this.checkpoint = fact;
  }

  applyEvaluation(fact: ModelEvaluated | null): void {
    // Models of an experiment come to no use; the curves are those of continuous training.
    if (!fact || fact.experiment !== undefined) return;
    const { runId, step, task, split, ua, wa, evaluatedAt: at } = fact;
    this.points.set(`${runId}/${step}/${task}/${split}`, { runId, step, task, split, ua, wa, at });
    const [oldest] = this.points.keys();
    if (this.points.size > keptPoints && oldest !== undefined) this.points.delete(oldest);
    this.scores.apply(fact);
    const newest = this.evaluations.get(`${task}/${split}`);
    if (!newest || at >= newest.evaluatedAt) this.evaluations.set(`${task}/${split}`, fact);
  }

  applyPromotion(fact: PromotionFact | null): void {
    if (fact?.type === 'ModelPromoted') {
      if (fact.number >= (this.champions.get(fact.target)?.number ?? 0)) this.champions.set(fact.target, fact);
    } else if (fact) {
      if (fact.at >= (this.rejections.get(fact.target)?.at ?? '')) this.rejections.set(fact.target, fact);
    }
  }

  promotionOf(target: EmotionTarget): PromotionState {
    const champion = this.champions.get(target) ?? null;
    const { runId, step } = champion?.challenger ?? {};
    const scored = this.points.get(`${runId}/${step}/${target}/dev`)?.ua;
    return {
      target,
      champion,
      championUa: scored ?? champion?.comparison?.challenger.ua ?? null,
      rejected: this.rejections.get(target) ?? null,
    };
  }

  /** Of the champion of a target, at whatever it was scored on; where it was not, what its promotion says of its dev speakers. */
  championScores(target: EmotionTarget): readonly ModelScores[] {
    const champion = this.champions.get(target);
    if (!champion) return [];
    const compared = champion.comparison?.challenger;
    const scored = this.scores.of(champion.challenger);
    if (!compared || scored.some(({ task, split }) => task === target && split === 'dev')) return scored;
    return [...scored, { task: target, split: 'dev', wa: null, ...compared }];
  }

  /** When the newest of the live utterances that may be learnt from was ingested; null where there are none. */
  get newestTrainableAt(): string | null {
    let newest: string | null = null;
    for (const { split, withheld, ingestedAt } of this.utterances.values())
      if (split === 'train' && !withheld && (newest === null || ingestedAt > newest)) newest = ingestedAt;
    return newest;
  }

  /** Utterances = in shards + dead-lettered + in flight, by id. What ingest itself put aside counts as an utterance. */
  reconcile(): Reconciliation {
    const aside = this.putAside();
    const ids = new Set([...this.utterances.keys(), ...aside.atIngest]);
    let inShards = 0;
    let deadLettered = 0;
    const inFlight: string[] = [];
    for (const utteranceId of ids) {
      const utterance = this.utterances.get(utteranceId);
      const hash = utterance && this.settingsHashOf(utterance.corpus);
      if (utterance && this.tilesUnder(utterance, hash)) inShards++;
      else if (aside.atIngest.has(utteranceId) || (utterance && this.isPutAside(utterance, hash, aside.versions))) deadLettered++;
      else inFlight.push(utteranceId);
    }
    return { utterances: ids.size, inShards, deadLettered, inFlight };
  }

  /** @returns undefined where features has not said it */
  settingsHashOf(corpus: string): string | undefined {
    return this.settings ? featureSettingsOf(this.settings, corpus).settingsHash : undefined;
  }

  /** How far a corpus is under the settings with this hash. */
  coverageUnder(corpus: string, settingsHash: string): CorpusCoverage {
    const coverage: CorpusCoverage = { live: 0, covered: 0, missing: [], missingAudioSec: 0 };
    const { versions } = this.putAside();
    for (const utterance of this.utterances.values()) {
      if (utterance.corpus !== corpus) continue;
      coverage.live++;
      if (this.tilesUnder(utterance, settingsHash) || this.isPutAside(utterance, settingsHash, versions)) coverage.covered++;
      else {
        coverage.missing.push(utterance);
        coverage.missingAudioSec += this.tilesUnder(utterance, undefined)?.audioSec ?? 0;
      }
    }
    return coverage;
  }

  /** Where the record of an utterance stands in its topic. */
  placeOf(utteranceId: string): RecordPlace | undefined {
    return this.places.get(utteranceId);
  }

  /** Of live utterances. */
  get corpora(): string[] {
    return [...new Set([...this.utterances.values()].map(({ corpus }) => corpus))].sort();
  }

  /** Corpora that have tiles of other settings and not yet all of those that features uses now. */
  get moves(): SettingsMove[] {
    const { versions } = this.putAside();
    const moves = new Map<string, SettingsMove & { isMoving: boolean }>();
    for (const utterance of this.utterances.values()) {
      const { corpus } = utterance;
      const settingsHash = this.settingsHashOf(corpus);
      if (settingsHash === undefined) return [];
      const move = moves.get(corpus) ?? { corpus, settingsHash, covered: 0, live: 0, isMoving: false };
      moves.set(corpus, move);
      move.live++;
      if (this.tilesUnder(utterance, settingsHash) || this.isPutAside(utterance, settingsHash, versions)) move.covered++;
      else move.isMoving ||= this.tilesUnder(utterance, undefined) !== undefined;
    }
    return [...moves.values()]
      .filter(({ isMoving }) => isMoving)
      .map(({ corpus, settingsHash, covered, live }) => ({ corpus, settingsHash, covered, live }));
  }

  snapshot(): OverviewSnapshot {
    const { inFlight, ...counts } = this.reconcile();
    const live = [...this.utterances.values()];
    const letters = [...this.letters.values()].sort((a, b) => (a.failedAt < b.failedAt ? 1 : -1));
    return {
      at: new Date().toISOString(),
      utterances: { live: live.length, byCorpus: countBy(live, (each) => each.corpus), bySplit: countBy(live, (each) => each.split) },
      streams: this.streamTotals(),
      silenceCutSec: live.reduce((sum, { utteranceId }) => sum + (this.tilesOf(utteranceId)?.cutSec ?? 0), 0),
      moves: this.moves,
      reconciliation: { ...counts, inFlight: inFlight.length },
      deadLetters: {
        total: letters.length,
        byCode: countBy(letters, (letter) => letter.code),
        latest: letters.slice(0, latestDeadLetters).map((letter) => ({
          key: subjectOf(letter),
          stage: letter.stage,
          code: letter.code,
          message: letter.message,
          at: letter.failedAt,
        })),
      },
      training: { started: this.started, checked: this.checked, finished: this.finished, steps: this.steps },
      checkpoint: this.checkpoint,
      evaluations: [...this.evaluations.values()],
      promotions: emotionTargets.map((target) => this.promotionOf(target)).filter(({ champion, rejected }) => champion ?? rejected),
      history: [...this.points.values()].sort((a, b) => (a.at < b.at ? -1 : 1)),
    };
  }

  /** Utterances in shards that a model may learn from. */
  get trainable(): number {
    let count = 0;
    for (const { utteranceId, split, withheld } of this.utterances.values()) {
      if (split === 'train' && !withheld && this.tilesOf(utteranceId)) count++;
    }
    return count;
  }

  /** Of the newest checkpoint only: of older ones nothing but the history is kept. */
  evaluationsOf(runId: string, step: number): ModelEvaluated[] {
    return [...this.evaluations.values()].filter((each) => each.runId === runId && each.step === step);
  }

  /** Whether ingest has decided about a recording: it is alive, or was put aside. */
  knows(utteranceId: string): boolean {
    return this.utterances.has(utteranceId) || this.putAside().atIngest.has(utteranceId);
  }

  /** Those whose utterance has not come right since. */
  get unresolvedDeadLetters(): readonly DeadLetter[] {
    return this.deadLetters.filter(({ utteranceId }) => {
      const utterance = this.utterances.get(utteranceId ?? '');
      return !utterance || !this.tilesUnder(utterance, this.settingsHashOf(utterance.corpus));
    });
  }

  get deadLetters(): readonly DeadLetter[] {
    return [...this.letters.values()];
  }

  /** Those of the settings of now, else older ones. */
  private tilesOf(utteranceId: string): TilesOfVersion | undefined {
    const utterance = this.utterances.get(utteranceId);
    if (!utterance) return undefined;
    return this.tilesUnder(utterance, this.settingsHashOf(utterance.corpus)) ?? this.tilesUnder(utterance, undefined);
  }

  /** @param settingsHash undefined: whichever */
  private tilesUnder({ utteranceId, version }: UtteranceIngested, settingsHash: string | undefined): TilesOfVersion | undefined {
    for (const tiles of this.tiles.get(`${utteranceId}@${version}`)?.values() ?? [])
      if (settingsHash === undefined || tiles.settingsHash === settingsHash) return tiles;
    return undefined;
  }

  /** @param always of those for whom it does not depend on settings */
  private isPutAside({ utteranceId, version }: UtteranceIngested, settingsHash: string | undefined, always: ReadonlySet<string>): boolean {
    const name = `${utteranceId}@${version}`;
    const under = this.refusals.get(name);
    return always.has(name) || (under !== undefined && (settingsHash === undefined || under.has(settingsHash)));
  }

  private putAside(): { atIngest: Set<string>; versions: Set<string> } {
    const atIngest = new Set<string>();
    const versions = new Set<string>();
    for (const { stage, utteranceId, version, settingsHash } of this.letters.values()) {
      if (!utteranceId || (stage === 'features' && version !== undefined && settingsHash !== undefined)) continue;
      if (version !== undefined) versions.add(`${utteranceId}@${version}`);
      else if (stage === 'ingest' && !this.utterances.has(utteranceId)) atIngest.add(utteranceId);
    }
    return { atIngest, versions };
  }

  private streamTotals(): Record<Stream, StreamTotals> {
    const totals: Record<Stream, StreamTotals> = { labelled: emptyTotals(), unlabelled: emptyTotals() };
    for (const utteranceId of this.utterances.keys()) {
      const tiles = this.tilesOf(utteranceId);
      if (!tiles) continue;
      const total = totals[tiles.stream];
      total.utterances++;
      total.tiles += tiles.tileCount;
      total.audioSec += tiles.audioSec;
    }
    for (const stream of streams) totals[stream].shards = [...this.shards.values()].filter((shard) => shard.stream === stream).length;
    return totals;
  }
}

export function subjectOf(letter: DeadLetter): string {
  return letter.objectKey ?? letter.utteranceId ?? `${letter.origin.topic}/${letter.origin.partition}/${letter.origin.offset}`;
}

const emptyTotals = (): StreamTotals => ({ shards: 0, tiles: 0, utterances: 0, audioSec: 0 });

function countBy<Item>(items: Item[], nameOf: (item: Item) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[nameOf(item)] = (counts[nameOf(item)] ?? 0) + 1;
  return counts;
}
