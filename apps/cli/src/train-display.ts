/** Shows the progress of training: a bar, the losses, and the time left. */
import type { StepLosses } from '#paper/train-step.js';
import { asDuration } from './human-units.js';

const barWidth = 24;
/** If the output is no terminal, a line is printed this often. */
const lineIntervalMs = 10_000;
const shownLosses = {
  reconstruction: 'reconstruction',
  discriminator: 'discriminator',
  generator: 'generator',
  emotion: 'emotion',
  gender: 'gender',
  speaker: 'speaker',
} as const;

export class TrainDisplay {
  private shownAtMs = 0;
  private readonly stepsMs: number[] = [];

  constructor(
    private readonly out: { isTTY?: boolean; columns?: number; write(text: string): unknown },
    private readonly clockMs: () => number = () => performance.now(),
  ) {}

  /** @param end the round's last step */
  show({ step, end, losses, stepMs }: { step: number; end: number; losses: StepLosses; stepMs: number }): void {
    this.stepsMs.push(stepMs);
    if (this.stepsMs.length > 20) this.stepsMs.shift();
    const now = this.clockMs();
    if (!this.out.isTTY && now - this.shownAtMs < lineIntervalMs && step < end) return;
    this.shownAtMs = now;
    const mean = this.stepsMs.reduce((sum, each) => sum + each, 0) / this.stepsMs.length;
    const filled = Math.floor((step / end) * barWidth);
    const parts = Object.entries(shownLosses).flatMap(([name, word]) => {
      const loss = losses[name as keyof StepLosses];
      return loss === null ? [] : [`${word} ${loss.toFixed(3)}`];
    });
    const bar = `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}`;
    const line = `${bar} step ${step} of ${end}, ${mean.toFixed(0)} ms a step, ${asDuration(((end - step) * mean) / 1000)} left  ${parts.join('  ')}`;
    this.out.write(this.out.isTTY ? `\r${line.slice(0, (this.out.columns ?? 200) - 1)}\u001b[K` : `${line}\n`);
  }

  clear(): void {
    if (this.out.isTTY) this.out.write('\r\u001b[K');
  }
}
