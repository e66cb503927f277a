/**
 * Folds the records of all topics into the state of the pipeline: utterances alive, in shards or dead-lettered, the progress of
 * training, and the scores of the models. The dashboard, `undertone status` and `undertone verify` all show this state.
 *
 * Cost: each record updates counters. The cost of a snapshot depends on its size, not on the number of utterances. Memory grows
 * with utterances, shards and distinct dead letters, not with the size of the dead-lettered records.
 *
 * Delivery: records may come twice, and in any order between topics. Applying one again changes nothing.
 */
import type { CheckpointSaved } from '#contracts/checkpoints.js';
import type { DeadLetter } from '#contracts/dead-letters.js';
import type { ModelEvaluated } from '#contracts/evaluations.js';
import type { FeatureSettingsChosen } from '#contracts/feature-settings.js';
import type { EmotionTarget } from '#contracts/labels.js';
import type { PromotionFact } from '#contracts/promotions.js';
import type { ShardSealed } from '#contracts/shards.js';
import type { TrainingFact } from '#contracts/training.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import { CorpusRefusals, isAboutAnnotations } from './corpus-refusals.js';
import { corpusOfLetter, type KeptLetter, LetterTally } from './letter-tally.js';
import { ModelStanding } from './model-standing.js';
import type { CorpusCoverage, OverviewSnapshot, PromotionState, Reconciliation, TopicPosition, SettingsMove } from './overview-snapshot.js';
import { whyNothingCanBePromoted } from './promotion-needs.js';
import type { ModelScores } from './scores-by-model.js';
import { RefusedRows } from './refused-rows.js';
import { TrainingProgress } from './training-progress.js';
import { UtteranceAccount } from './utterance-account.js';

const latestDeadLetters = 20;
const shownGroups = 50;
const shownRefusals = 50;
/** Characters of the message about a refused row. */
const shownMessage = 300;

export class PipelineOverview {
  private readonly refusals = new CorpusRefusals();
  private readonly refusedRows = new RefusedRows();
  private readonly account = new UtteranceAccount(this.refusals, this.refusedRows);
  private readonly letters = new LetterTally();
  private readonly training = new TrainingProgress();
  private readonly models = new ModelStanding();

  applyUtterance(utteranceId: string, fact: UtteranceIngested | null, place?: TopicPosition): void {
    this.account.applyUtterance(utteranceId, fact, place);
  }

  applySettings(fact: FeatureSettingsChosen | null): void {
    this.account.applySettings(fact);
  }

  applyShard(shardId: string, fact: ShardSealed | null): void {
    this.account.applyShard(shardId, fact);
  }

  applyDeadLetter(letter: DeadLetter): void {
    const isNew = this.letters.apply(letter);
    const { stage, utteranceId, version, settingsHash, failedAt, rowAlone, message } = letter;
    const corpus = corpusOfLetter(letter);
    const isRefusal = isAboutAnnotations(letter) && corpus !== null && !rowAlone;
    if (isRefusal) this.refusals.apply(letter, corpus);
    // An id without a corpus is treated like no id.
    if (utteranceId === undefined) return;
    this.account.change(utteranceId, (utterance) => {
      if (isNew) utterance.letters++;
      if (version !== undefined) utterance.addRefusal(version, stage === 'features' ? (settingsHash ?? null) : null);
      else if (stage === 'ingest') utterance.isRefusedAtIngest = true;
      if (isRefusal && failedAt > (utterance.annotationsRefusedAt ?? '')) utterance.annotationsRefusedAt = failedAt;
      if (rowAlone && failedAt > (utterance.refusedRow?.at ?? ''))
        utterance.refusedRow = { at: failedAt, message: message.slice(0, shownMessage) };
    });
  }

  applyTraining(fact: TrainingFact): void {
    this.training.apply(fact);
  }

  applyCheckpoint(fact: CheckpointSaved | null): void {
    this.models.applyCheckpoint(fact);
  }

  applyEvaluation(fact: ModelEvaluated | null): void {
    this.models.applyEvaluation(fact);
  }

  applyPromotion(fact: PromotionFact | null): void {
    this.models.applyPromotion(fact);
  }

  snapshot(): OverviewSnapshot {
    const { account, letters, models } = this;
    const { labelledSpeakers } = account;
    return {
      at: new Date().toISOString(),
      utterances: { live: account.live, byCorpus: account.liveByCorpus, bySplit: account.liveBySplit },
      streams: account.streamTotals,
      silenceCutSec: account.silenceCutSec,
      tilesLeftOut: account.tilesLeftOut,
      labelledSpeakers,
      whyNothingCanBePromoted: whyNothingCanBePromoted(labelledSpeakers),
      moves: account.moves,
      refusedCorpora: this.refusals.open().slice(0, shownRefusals),
      refusedRows: this.refusedRows.open().slice(0, shownRefusals),
      reconciliation: account.balance,
      deadLetters: {
        total: letters.total,
        open: this.openDeadLetters,
        byCode: letters.countsByCode,
        groups: letters.largestGroups(shownGroups),
        latest: letters.kept
          .slice(-latestDeadLetters)
          .reverse()
          .map(({ subject, stage, code, message, failedAt }) => ({ key: subject, stage, code, message, at: failedAt })),
      },
      training: this.training.state,
      checkpoint: models.checkpoint,
      evaluations: models.evaluations,
      promotions: models.promotions,
      history: models.history,
    };
  }

  promotionOf(target: EmotionTarget): PromotionState {
    return this.models.promotionOf(target);
  }

  /** The scores of a target's champion. Without a score on dev speakers, the one in its promotion is used. */
  championScores(target: EmotionTarget): readonly ModelScores[] {
    return this.models.championScores(target);
  }

  /** Evaluations of the newest checkpoint. Older checkpoints have only points of the history. */
  evaluationsOf(runId: string, step: number): ModelEvaluated[] {
    return this.models.evaluations.filter((each) => each.runId === runId && each.step === step);
  }

  /** The time of ingest of the newest trainable utterance that is alive; null if there is none. */
  get newestTrainableAt(): string | null {
    return this.account.newestLearnableAt;
  }

  /** Utterances = in shards + dead-lettered + in flight, by id. Utterances that ingest dead-lettered count too. */
  reconcile(): Reconciliation {
    return { ...this.account.balance, inFlight: this.account.inFlightIds };
  }

  /** @returns undefined if features has not announced the settings */
  settingsHashOf(corpus: string): string | undefined {
    return this.account.settingsHashOf(corpus);
  }

  /** The progress of a corpus under the settings with this hash. This scans every utterance. */
  coverageUnder(corpus: string, settingsHash: string): CorpusCoverage {
    return this.account.coverageUnder(corpus, settingsHash);
  }

  /** The position of an utterance's record in its topic. */
  placeOf(utteranceId: string): TopicPosition | undefined {
    return this.account.get(utteranceId)?.place ?? undefined;
  }

  /** Names of corpora with live utterances. */
  get corpora(): string[] {
    return Object.keys(this.account.liveByCorpus).sort();
  }

  /** Corpora with tiles of other settings that do not have all tiles of the current settings yet. */
  get moves(): SettingsMove[] {
    return this.account.moves;
  }

  /** Number of trainable utterances in shards. */
  get trainable(): number {
    return this.account.trainable;
  }

  /** True if ingest has decided about a recording: it is alive or dead-lettered. */
  knows(utteranceId: string): boolean {
    const utterance = this.account.get(utteranceId);
    return utterance !== undefined && (utterance.fact !== null || utterance.isRefusedAtIngest);
  }

  /** True if a dead letter is open: its utterance has not reached a shard since. */
  isOpen({ utteranceId }: Pick<DeadLetter, 'utteranceId'>): boolean {
    return utteranceId === undefined || !this.account.isInShard(utteranceId);
  }

  /** Number of distinct open letters. */
  get openDeadLetters(): number {
    return this.letters.withoutUtterance + this.account.openLetters;
  }

  /** The open letters among the newest 200, oldest first. */
  get unresolvedDeadLetters(): readonly KeptLetter[] {
    return this.letters.kept.filter((letter) => this.isOpen(letter));
  }

  /** The newest 200 letters, oldest first. */
  get deadLetters(): readonly KeptLetter[] {
    return this.letters.kept;
  }
}
