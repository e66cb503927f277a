import { describe, expect, it } from 'vitest';
import type { ModelEvaluated } from '#contracts/evaluations.js';
import type { ExperimentJob, ExperimentRow } from '#experiments/experiment-results.js';
import type { PlannedJob } from '#experiments/plan-experiment.js';
import { ExperimentDisplay } from './experiment-display.js';

const row: ExperimentRow = { id: 'both', label: 'Both', system: 'aae', target: 'emotion', auxiliary: [], quoted: [], isQuotedOnly: false };
const job = (fold: number): ExperimentJob => ({ jobId: `j${fold}`, rowId: 'both', point: null, fold, seed: 1, alpha: 0.4, beta: 0.5 });
const planned = [0, 1, 2].map(
  (fold) => ({ job: job(fold), row, task: 'emotion', candidates: [{ model: {} }], batch: {} }) as unknown as PlannedJob,
);
const done = (fold: number, ua: number) => ({
  job: job(fold),
  wallSec: 60,
  evaluations: [{ task: 'emotion', wa: ua, ua } as ModelEvaluated],
});

function display(isTTY: boolean) {
  let text = '';
  let nowMs = 0;
  const out = { isTTY, columns: 100, write: (piece: string) => (text += piece) };
  const shown = new ExperimentDisplay(out, [row], planned, { steps: 100, parallel: 2, earlier: [done(0, 0.6)], clockMs: () => nowMs });
  return { shown, textOf: () => text, pass: (ms: number) => (nowMs += ms) };
}
const step = (at: number) => ({ step: at, steps: 100, stepMs: 200, devUa: 0.55 });

describe('the progress of an experiment', () => {
  it('redraws a table in a terminal: rows with jobs and scores, running jobs, time left', () => {
    const { shown, textOf, pass } = display(true);
    pass(1_000);
    shown.progress('j1', step(1));
    pass(20_000);
    shown.progress('j1', step(51));
    expect(textOf()).toMatch(/Both {2}████░+ +1 of 3 {2}WA 60\.0 % {2}UA 60\.0 %/);
    expect(textOf()).toContain('both, fold 2, seed 1: step 51 of 100, 200 ms a step, dev UA 55.0 %');
    // 149 steps of 200 ms are left, two jobs at a time.
    expect(textOf()).toContain('1 of 3 jobs done, about 15 s left');
    expect(textOf()).toContain('\u001b[3A\u001b[J');
    expect(
      textOf()
        .split('\n')
        .every((line) => line.length <= 120),
    ).toBe(true);
  });

  it('prints a line for each finished job where it cannot redraw', () => {
    const { shown, textOf, pass } = display(false);
    shown.progress('j1', step(1));
    pass(60_000);
    shown.finished(done(1, 0.7));
    expect(textOf()).toBe('2 of 3: both, fold 2, seed 1: emotion UA 70.0 % (60 s); 2 of 3 jobs done, about 10 s left\n');
    expect(shown.table()).toEqual([
      '  Both  ████████████'.replace('████████████', '████████░░░░') + '   2 of 3  WA 65.0 %  UA 65.0 % ± 7.1 %',
    ]);
  });
});
