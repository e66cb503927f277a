/**
 * Keeps a job's learning curve beside its checkpoints, so that a killed job ends with the same curve as one that was not killed.
 *
 * Delivery: each point is one line, written before the checkpoint of its step. If a step was learnt twice, the later line counts.
 * On resume, lines beyond the checkpoint are dropped and written again. A line that a crash cut short is ignored.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { StepLosses } from '#paper/train-step.js';
import type { LearningCurvePoint } from './experiment-results.js';

export class LearningCurve {
  private readonly byStep = new Map<number, LearningCurvePoint>();

  private constructor(private readonly append: (line: string) => void) {}

  /** @param path null: kept in memory only @param upToStep step of the checkpoint that the job resumes from */
  static open(path: string | null, upToStep: number): LearningCurve {
    if (path) mkdirSync(dirname(path), { recursive: true });
    const curve = new LearningCurve(path ? (line) => appendFileSync(path, line) : () => undefined);
    for (const line of path && existsSync(path) ? readFileSync(path, 'utf8').split('\n') : []) {
      const point = parsed(line);
      if (point && point.step <= upToStep) curve.byStep.set(point.step, point);
    }
    return curve;
  }

  stepTrained(step: number, losses: StepLosses): void {
    const { total: _total, ...parts } = losses;
    this.put({ step, losses: parts, devUa: this.byStep.get(step)?.devUa ?? null });
  }

  /** Called before the losses of the same step. */
  checked(step: number, ua: number): void {
    this.put({ step, losses: {}, devUa: ua });
  }

  get points(): LearningCurvePoint[] {
    return [...this.byStep.values()].sort((a, b) => a.step - b.step);
  }

  private put(point: LearningCurvePoint): void {
    this.byStep.set(point.step, point);
    this.append(`${JSON.stringify(point)}\n`);
  }
}

function parsed(line: string): LearningCurvePoint | null {
  try {
    return JSON.parse(line) as LearningCurvePoint;
  } catch {
    return null;
  }
}
