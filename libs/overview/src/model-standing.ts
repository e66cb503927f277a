/** Tracks the scores of the models and the champions. */
import type { CheckpointSaved } from '#contracts/checkpoints.js';
import type { ModelEvaluated } from '#contracts/evaluations.js';
import { emotionTargets, type EmotionTarget } from '#contracts/labels.js';
import type { ModelPromoted, ModelRejected, PromotionFact } from '#contracts/promotions.js';
import type { HistoryPoint, PromotionState } from './overview-snapshot.js';
import { type ModelScores, ScoresByModel } from './scores-by-model.js';

const keptPoints = 2_000;

export class ModelStanding {
  checkpoint: CheckpointSaved | null = null;
  /** The newest evaluation of each task and split. Older evaluations are kept as points of a chart only. */
  private readonly newest = new Map<string, ModelEvaluated>();
  private readonly points = new Map<string, HistoryPoint>();
  private readonly scores = new ScoresByModel();
  private readonly champions = new Map<EmotionTarget, ModelPromoted>();
  private readonly rejections = new Map<EmotionTarget, ModelRejected>();

  applyCheckpoint(fact: CheckpointSaved | null): void {
    if (fact && (!this.checkpoint || fact.savedAt >= this.checkpoint.savedAt)) this.checkpoint = fact;
  }

  applyEvaluation(fact: ModelEvaluated | null): void {
    // Models of an experiment are never used, so the curves show continuous training only.
    if (!fact || fact.experiment !== undefined) return;
    const { runId, step, task, split, ua, wa, evaluatedAt: at } = fact;
    this.points.set(`${runId}/${step}/${task}/${split}`, { runId, step, task, split, ua, wa, at });
    const [oldest] = this.points.keys();
    if (this.points.size > keptPoints && oldest !== undefined) this.points.delete(oldest);
    this.scores.apply(fact);
    const newest = this.newest.get(`${task}/${split}`);
    if (!newest || at >= newest.evaluatedAt) this.newest.set(`${task}/${split}`, fact);
  }

  applyPromotion(fact: PromotionFact | null): void {
    if (fact?.type === 'ModelPromoted') {
      if (fact.number >= (this.champions.get(fact.target)?.number ?? 0)) this.champions.set(fact.target, fact);
    } else if (fact) {
      if (fact.at >= (this.rejections.get(fact.target)?.at ?? '')) this.rejections.set(fact.target, fact);
    }
  }

  get evaluations(): ModelEvaluated[] {
    return [...this.newest.values()];
  }

  /** Sorted by time. */
  get history(): HistoryPoint[] {
    return [...this.points.values()].sort((a, b) => (a.at < b.at ? -1 : 1));
  }

  /** The decisions of each target that has any. */
  get promotions(): PromotionState[] {
    return emotionTargets.map((target) => this.promotionOf(target)).filter(({ champion, rejected }) => champion ?? rejected);
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

  /** The scores of a target's champion. Without a score on dev speakers, the one in its promotion is used. */
  championScores(target: EmotionTarget): readonly ModelScores[] {
    const champion = this.champions.get(target);
    if (!champion) return [];
    const compared = champion.comparison?.challenger;
    const scored = this.scores.of(champion.challenger);
    if (!compared || scored.some(({ task, split }) => task === target && split === 'dev')) return scored;
    return [...scored, { task: target, split: 'dev', wa: null, ...compared }];
  }
}
