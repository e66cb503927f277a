/**
 * The state of the whole pipeline, folded from its facts: which utterances are alive, in shards or dead-lettered, how
 * training goes and how good the models are. The dashboard, `undertone status` and `undertone verify` all show this.
 *
 * Cost: each fact updates counters, and a snapshot costs as much as it shows, however many utterances there are. Memory grows
 * with utterances, shards and distinct dead letters, not with the size of the records that the letters are about.
 *
 * Delivery: facts may come twice and in any order between topics; applying one again changes nothing.
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
import type { CorpusCoverage, OverviewSnapshot, PromotionState, Reconciliation, RecordPlace, SettingsMove } from './overview-snapshot.js';
import type { ModelScores } from './scores-by-model.js';
import { TrainingProgress } from './training-progress.js';
import { UtteranceAccount } from './utterance-account.js';

const latestDeadLetters = 20;
const shownGroups = 50;
const shownRefusals = 50;

export class PipelineOverview {
  private readonly refusals = new CorpusRefusals();
  private readonly account = new UtteranceAccount(this.refusals);
  private readonly letters = new LetterTally();
  private readonly training = new TrainingProgress();
  private readonly models = new ModelStanding();

  applyUtterance(utteranceId: string, fact: UtteranceIngested | null, place?: RecordPlace): void {
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
    const { stage, utteranceId, version, settingsHash, failedAt } = letter;
    const corpus = corpusOfLetter(letter);
    const isRefusal = isAboutAnnotations(letter) && corpus !== null;
    if (isRefusal) this.refusals.apply(letter, corpus);
    // An id of a name without a corpus is as good as none.
    if (utteranceId === undefined) return;
    this.account.change(utteranceId, (utterance) => {
      if (isNew) utterance.letters++;
      if (version !== undefined) utterance.addRefusal(version, stage === 'features' ? (settingsHash ?? null) : null);
      else if (stage === 'ingest') utterance.isRefusedAtIngest = true;
      if (isRefusal && failedAt > (utterance.annotationsRefusedAt ?? '')) utterance.annotationsRefusedAt = failedAt;
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
    return {
      at: new Date().toISOString(),
      utterances: { live: account.live, byCorpus: account.liveByCorpus, bySplit: account.liveBySplit },
      streams: account.streamTotals,
      silenceCutSec: account.silenceCutSec,
      moves: account.moves,
      refusedCorpora: this.refusals.open().slice(0, shownRefusals),
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

  /** Scores of a target's champion; where it was not scored on dev speakers, those that its promotion states. */
  championScores(target: EmotionTarget): readonly ModelScores[] {
    return this.models.championScores(target);
  }

  /** Of the newest checkpoint only: of older ones nothing but the history is kept. */
  evaluationsOf(runId: string, step: number): ModelEvaluated[] {
    return this.models.evaluations.filter((each) => each.runId === runId && each.step === step);
  }

  /** When the newest of the live utterances that may be learnt from was ingested; null where there are none. */
  get newestTrainableAt(): string | null {
    return this.account.newestLearnableAt;
  }

  /** Utterances = in shards + dead-lettered + in flight, by id. An utterance that ingest itself dead-lettered counts too. */
  reconcile(): Reconciliation {
    return { ...this.account.balance, inFlight: this.account.inFlightIds };
  }

  /** @returns undefined where features has not said it */
  settingsHashOf(corpus: string): string | undefined {
    return this.account.settingsHashOf(corpus);
  }

  /** How far a corpus is under the settings with this hash. It looks at every utterance. */
  coverageUnder(corpus: string, settingsHash: string): CorpusCoverage {
    return this.account.coverageUnder(corpus, settingsHash);
  }

  /** Where the record of an utterance stands in its topic. */
  placeOf(utteranceId: string): RecordPlace | undefined {
    return this.account.get(utteranceId)?.place ?? undefined;
  }

  /** Names of corpora with live utterances. */
  get corpora(): string[] {
    return Object.keys(this.account.liveByCorpus).sort();
  }

  /** Corpora that have tiles of other settings and not yet all of those that features uses now. */
  get moves(): SettingsMove[] {
    return this.account.moves;
  }

  /** Utterances in shards that a model may learn from. */
  get trainable(): number {
    return this.account.trainable;
  }

  /** Whether ingest has decided about a recording: it is alive, or dead-lettered. */
  knows(utteranceId: string): boolean {
    const utterance = this.account.get(utteranceId);
    return utterance !== undefined && (utterance.fact !== null || utterance.isRefusedAtIngest);
  }

  /** Whether the utterance of a dead letter has not come right since. */
  isOpen({ utteranceId }: Pick<DeadLetter, 'utteranceId'>): boolean {
    return utteranceId === undefined || !this.account.isInShard(utteranceId);
  }

  /** Distinct letters whose utterance has not come right since. */
  get openDeadLetters(): number {
    return this.letters.withoutUtterance + this.account.openLetters;
  }

  /** Those of the newest 200 letters whose utterance has not come right since, the oldest of them first. */
  get unresolvedDeadLetters(): readonly KeptLetter[] {
    return this.letters.kept.filter((letter) => this.isOpen(letter));
  }

  /** The newest 200 letters, the oldest of them first. */
  get deadLetters(): readonly KeptLetter[] {
    return this.letters.kept;
  }
}
