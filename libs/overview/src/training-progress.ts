/** Tracks the progress of training: the current or latest round, and its steps. */
import type { DevChecked, RoundFinished, RoundStarted, StepTrained, TrainingFact } from '#contracts/training.js';
import type { TrainingState } from './overview-snapshot.js';

const keptSteps = 600;

export class TrainingProgress {
  private steps: StepTrained[] = [];
  private started: RoundStarted | null = null;
  private checked: DevChecked | null = null;
  private finished: RoundFinished | null = null;

  apply(fact: TrainingFact): void {
    if (fact.type === 'RoundStarted') this.started = fact;
    else if (fact.type === 'DevChecked') this.checked = fact;
    else if (fact.type === 'RoundFinished') this.finished = fact;
    else {
      // A round that was resumed repeats steps. The later report counts.
      this.steps = this.steps.filter((step) => step.runId === fact.runId && step.step < fact.step);
      this.steps.push(fact);
      if (this.steps.length > keptSteps) this.steps = this.steps.filter((_, index) => index % 2 === 0 || index === this.steps.length - 1);
    }
  }

  get state(): TrainingState {
    return { started: this.started, checked: this.checked, finished: this.finished, steps: this.steps };
  }
}
