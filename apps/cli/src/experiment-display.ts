/** Shows the progress of an experiment: a table of rows with folds and scores, the running jobs, and the time left. */
import { printable } from '#contracts/printable.js';
import type { ExperimentJob, ExperimentRow, JobResult } from '#experiments/experiment-results.js';
import { type PlannedJob, stepsOf } from '#experiments/plan-experiment.js';
import type { JobProgress } from '#experiments/run-job.js';
import { summariseRows } from '#experiments/summarise-rows.js';
import { asDuration } from './human-units.js';

type Done = Pick<JobResult, 'job' | 'evaluations' | 'wallSec'>;

const barWidth = 12;
const redrawMs = 250;
const keptReports = 50;

export class ExperimentDisplay {
  private readonly done: Done[] = [];
  private readonly running = new Map<string, JobProgress>();
  private readonly planned: ReadonlyMap<string, PlannedJob>;
  private readonly startedAtMs: number;
  private shown = 0;
  private shownAtMs = -Infinity;
  /** The step times of the last reports. */
  private readonly stepsMs: number[] = [];

  constructor(
    private readonly out: { isTTY?: boolean; columns?: number; write(text: string): unknown },
    private readonly rows: readonly ExperimentRow[],
    jobs: readonly PlannedJob[],
    private readonly options: { steps: number; parallel: number; earlier: readonly Done[]; clockMs?: () => number },
  ) {
    this.planned = new Map(jobs.map((each) => [each.job.jobId, each]));
    this.done.push(...options.earlier);
    this.startedAtMs = this.nowMs;
  }

  progress(jobId: string, progress: JobProgress): void {
    this.running.set(jobId, progress);
    this.stepsMs.push(progress.stepMs);
    if (this.stepsMs.length > keptReports) this.stepsMs.shift();
    this.draw();
  }

  finished(result: Done): void {
    this.running.delete(result.job.jobId);
    this.done.push(result);
    if (this.out.isTTY) this.draw(true);
    else this.out.write(`${printable(this.doneLine(result))}\n`);
  }

  /** @returns the table as lines */
  table(): string[] {
    const isDone = new Set(this.done.map(({ job }) => job.jobId));
    const missing = [...this.planned.values()].map(({ job }) => job).filter(({ jobId }) => !isDone.has(jobId));
    const rows = summariseRows({ rows: [...this.rows], results: this.done, missing });
    const width = Math.max(...rows.map(({ label }) => label.length));
    return rows.map(({ label, done, planned, wa, ua, uaDeviation }) => {
      const filled = Math.floor((done / planned) * barWidth);
      const bar = `${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}`;
      const scores = ua === null ? '' : `WA ${percent(wa)}  UA ${percent(ua)}${uaDeviation === null ? '' : ` ± ${percent(uaDeviation)}`}`;
      return printable(`  ${label.padEnd(width)}  ${bar} ${String(done).padStart(3)} of ${planned}  ${scores}`).trimEnd();
    });
  }

  clear(): void {
    if (this.shown > 0) this.out.write(`\u001b[${this.shown}A\u001b[J`);
    this.shown = 0;
  }

  private draw(isDue = false): void {
    if (!this.out.isTTY || (!isDue && this.nowMs - this.shownAtMs < redrawMs)) return;
    this.shownAtMs = this.nowMs;
    const lines = [...this.table(), ...[...this.running].map(([jobId, progress]) => this.runningLine(jobId, progress)), `  ${this.left()}`];
    this.clear();
    this.out.write(`${lines.map((line) => printable(line).slice(0, (this.out.columns ?? 200) - 1)).join('\n')}\n`);
    this.shown = lines.length;
  }

  private runningLine(jobId: string, { step, steps, stepMs, devUa }: JobProgress): string {
    const job = this.planned.get(jobId)?.job;
    const look = devUa === null ? '' : `, dev UA ${percent(devUa)}`;
    return `  · ${job ? placeOf(job) : jobId}: step ${step} of ${steps}, ${stepMs.toFixed(0)} ms a step${look}`;
  }

  private doneLine({ job, evaluations, wallSec }: Done): string {
    const scores = evaluations.map(({ task, ua }) => `${task} UA ${percent(ua)}`).join(', ');
    return `${this.done.length} of ${this.planned.size}: ${placeOf(job)}: ${scores} (${asDuration(wallSec)}); ${this.left()}`;
  }

  private left(): string {
    const count = `${this.done.length} of ${this.planned.size} jobs done`;
    const sec = this.secondsLeft();
    return sec === null ? count : `${count}, about ${asDuration(sec)} left`;
  }

  /** Estimates the time left from the remaining steps and the time of a step, or from the jobs if no steps are reported. */
  private secondsLeft(): number | null {
    const stepsIn = (jobIds: Iterable<string>): number => [...jobIds].reduce((sum, jobId) => sum + this.stepsOf(jobId), 0);
    const underWay = [...this.running.values()].reduce((sum, { step }) => sum + step, 0);
    const steps = stepsIn(this.planned.keys()) - stepsIn(this.done.map(({ job }) => job.jobId)) - underWay;
    const mean = this.stepsMs.reduce((sum, each) => sum + each, 0) / this.stepsMs.length;
    if (this.stepsMs.length > 0) return (steps * mean) / 1000 / this.options.parallel;
    const here = this.done.length - this.options.earlier.length;
    const jobs = this.planned.size - this.done.length;
    return here > 0 ? (jobs * (this.nowMs - this.startedAtMs)) / 1000 / here : null;
  }

  private stepsOf(jobId: string): number {
    const candidates = this.planned.get(jobId)?.candidates ?? [];
    return candidates.reduce((sum, candidate) => sum + stepsOf(candidate, this.options.steps), 0);
  }

  private get nowMs(): number {
    return this.options.clockMs?.() ?? performance.now();
  }
}

const percent = (share: number | null): string => (share === null ? '–' : `${(100 * share).toFixed(1)} %`);

/** Folds count from 1 for people. */
function placeOf({ rowId, point, fold, seed }: ExperimentJob): string {
  return `${rowId}${point === null ? '' : `, ${point}`}, fold ${fold + 1}, seed ${seed}`;
}
