/** Keeps each model's scores from the evaluations seen so far. They are small enough for a thousand models. */
import type { ModelEvaluated } from '#contracts/evaluations.js';
import type { ScoredSplit, Task } from '#contracts/labels.js';

/** The score on one task and split. */
export interface ModelScores {
  task: Task;
  split: ScoredSplit;
  ua: number;
  /** Null if unknown. */
  wa: number | null;
  /** Recall by class; null if the class does not occur. Empty for the speaker task, which may have thousands of classes. */
  recall: Record<string, number | null>;
  byGender?: ModelEvaluated['byGender'];
  spread?: ModelEvaluated['spread'];
}

const keptModels = 1_000;

export class ScoresByModel {
  private readonly scores = new Map<string, ModelScores[]>();

  apply({ runId, step, task, split, ua, wa, recall, byGender, spread }: ModelEvaluated): void {
    const others = this.of({ runId, step }).filter((each) => each.task !== task || each.split !== split);
    this.scores.set(`${runId}/${step}`, [...others, { task, split, ua, wa, recall: task === 'speaker' ? {} : recall, byGender, spread }]);
    const [oldest] = this.scores.keys();
    if (this.scores.size > keptModels && oldest !== undefined) this.scores.delete(oldest);
  }

  of({ runId, step }: Pick<ModelEvaluated, 'runId' | 'step'>): readonly ModelScores[] {
    return this.scores.get(`${runId}/${step}`) ?? [];
  }
}
