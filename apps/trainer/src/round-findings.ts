/** Collects the problems of the newest round in words: its labels, a divergence, its losses. */
import type { ModelSettings } from '#paper/settings.js';
import type { StepLosses } from '#paper/train-step.js';
import { divergenceFinding, labelFindings, LossWatch } from '#rounds/diagnose-training.js';
import type { TrainingView } from '#index/training-index.js';

/** If the rate was lowered to less than this share, the rate is not the cause of the divergence. */
const leastRateScale = 1 / 16;

export class RoundFindings {
  private watch: LossWatch | undefined;
  private ofLabels: string[] = [];
  /** True if the run went back to a checkpoint and no round has finished since. */
  private divergence: { finding: string; isWorthAnotherTry: boolean } | null = null;
  /** Share of the learning rate that divergences have left. */
  private rateScale = 1;

  constructor(private readonly settings: ModelSettings) {}

  get all(): string[] {
    const divergence = this.divergence ? [this.divergence.finding] : [];
    return [...this.ofLabels, ...divergence, ...(this.watch?.complaints ?? [])];
  }

  /** True if the rate was lowered, so that the view on which the model diverged may be tried again. */
  get isWorthAnotherTry(): boolean {
    return this.divergence?.isWorthAnotherTry ?? false;
  }

  runOpened(rateScale: number): void {
    this.divergence = null;
    this.rateScale = rateScale;
  }

  /** @returns problems of the labels in the round's view */
  viewTaken(view: TrainingView): string[] {
    this.ofLabels = labelFindings(view, this.settings);
    return this.ofLabels;
  }

  roundStarted(speakers: number): void {
    this.watch = LossWatch.of(this.settings, speakers);
  }

  /** @returns problems that are new since the last report */
  stepTrained(losses: StepLosses): string[] {
    return this.watch?.observe(losses) ?? [];
  }

  /** @returns the finding in words */
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
