import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { LearningCurve } from './learning-curve.js';

const folder = mkdtempSync(join(tmpdir(), 'undertone-curve-'));
afterAll(() => rmSync(folder, { recursive: true }));

const losses = (emotion: number) => ({
  ...{ reconstruction: 1, discriminator: null, generator: null, discriminatorAccuracy: null, gender: null, speaker: null },
  ...{ emotion, total: 9 },
});

it('continues from a checkpoint as if the job had not stopped: it drops later points and a torn line', () => {
  const path = join(folder, 'work/curve.jsonl');
  const first = LearningCurve.open(path, 0);
  first.stepTrained(10, losses(3));
  first.checked(20, 0.5);
  first.stepTrained(20, losses(2));
  first.stepTrained(30, losses(1.4));
  appendFileSync(path, '{"step":40,"los');

  const second = LearningCurve.open(path, 20);
  expect(second.points.map(({ step }) => step)).toEqual([10, 20]);
  second.stepTrained(30, losses(1.5));
  expect(second.points.map(({ step, losses: { emotion }, devUa }) => [step, emotion, devUa])).toEqual([
    [10, 3, null],
    [20, 2, 0.5],
    [30, 1.5, null],
  ]);
});
