/** What is wrong with the newest round, in words: its labels, a divergence, its losses. */
import type { ModelSettings } from '#paper/settings.js';
import type { StepLosses } from '#paper/train-step.js';
import { divergenceFinding, labelFindings, LossWatch } from '#rounds/diagnose-training.js';
import type { TrainingView } from '#index/training-index.js';

/** With less of the learning rate than this, the rate is not why the model diverges. */
const leastRateScale = 1 / 16;

export class RoundFindings {
  private watch: LossWatch | undefined;
  private ofLabels: string[] = [];
  /** The run has gone back, and no round has finished since. */
  private divergence: { finding: string; isWorthAnotherTry: boolean } | null = null;
  /** Of the learning rate, what divergences have left. */
  private rateScale = 1;

  constructor(private readonly settings: ModelSettings) {}

  get all(): string[] {
    const divergence = this.divergence ? [this.divergence.finding] : [];
    return [...this.ofLabels, ...divergence, ...(this.watch?.complaints ?? [])];
  }

  /** The rate was lowered, so that the view on which the model diverged may be tried again. */
  get isWorthAnotherTry(): boolean {
    return this.divergence?.isWorthAnotherTry ?? false;
  }

  runOpened(rateScale: number): void {
    this.divergence = null;
    this.rateScale = rateScale;
  }

  /** @returns what is wrong with the labels of the round's view */
  viewTaken(view: TrainingView): string[] {
    this.ofLabels = labelFindings(view, this.settings);
    return this.ofLabels;
  }

  roundStarted(speakers: number): void {
    this.watch = LossWatch.of(this.settings, speakers);
  }

  /** @returns what is wrong now and was not at the last report */
  stepTrained(losses: StepLosses): string[] {
    return this.watch?.observe(losses) ?? [];
  }

  /** @returns what to say of it */
  wentBack(facts: { step: number; rateScale: number }): string {
    const { rateScale } = facts;
    const finding = divergenceFinding(facts);
    this.divergence = { finding, isWorthAnotherTry: rateScale < this.rateScale && rateScale >= leastRateScale };
    this.rateScale = rateScale;
    return finding;
  }

  roundFinished(): void {
    this.divergence = null;
  }
}
