/** How good each model is at each task, as far as its evaluations have been seen: small enough to keep for a thousand models. */
import type { ModelEvaluated } from '#contracts/evaluations.js';
import type { ScoredSplit, Task } from '#contracts/labels.js';

/** On one task and split. */
export interface ModelScores {
  task: Task;
  split: ScoredSplit;
  ua: number;
  /** Null where it is not known. */
  wa: number | null;
  /** By class; null where the class does not occur. Empty for speakers, of whom there may be thousands. */
  recall: Record<string, number | null>;
}

const keptModels = 1_000;

export class ScoresByModel {
  private readonly scores = new Map<string, ModelScores[]>();

  apply({ runId, step, task, split, ua, wa, recall }: ModelEvaluated): void {
    const others = this.of({ runId, step }).filter((each) => each.task !== task || each.split !== split);
    this.scores.set(`${runId}/${step}`, [...others, { task, split, ua, wa, recall: task === 'speaker' ? {} : recall }]);
    const [oldest] = this.scores.keys();
    if (this.scores.size > keptModels && oldest !== undefined) this.scores.delete(oldest);
  }

  of({ runId, step }: Pick<ModelEvaluated, 'runId' | 'step'>): readonly ModelScores[] {
    return this.scores.get(`${runId}/${step}`) ?? [];
  }
}
