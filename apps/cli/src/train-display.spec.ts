import { describe, expect, it } from 'vitest';
import type { StepLosses } from '#paper/train-step.js';
import { TrainDisplay } from './train-display.js';

const losses: StepLosses = {
  reconstruction: 0.0123,
  discriminator: 0.5,
  generator: 1.25,
  discriminatorAccuracy: 0.8,
  emotion: 1.3862,
  gender: null,
  speaker: 2.5,
  total: 3,
};

function terminal(isTTY: boolean, columns?: number) {
  let nowMs = 0;
  const written: string[] = [];
  const display = new TrainDisplay({ isTTY, columns, write: (text: string) => written.push(text) }, () => nowMs);
  return { display, written, wait: (ms: number) => (nowMs += ms) };
}

describe('the progress of training', () => {
  it('redraws one line with a bar, the step, the time left and the losses in use', () => {
    const { display, written } = terminal(true);
    display.show({ step: 25, end: 100, losses, stepMs: 800 });
    display.show({ step: 50, end: 100, losses: { ...losses, emotion: 0.7 }, stepMs: 400 });
    expect(written[0]).toBe(
      `\r${'█'.repeat(6)}${'░'.repeat(18)} step 25 of 100, 800 ms a step, 60 s left  ` +
        'reconstruction 0.012  discriminator 0.500  generator 1.250  emotion 1.386  speaker 2.500\u001b[K',
    );
    expect(written[1]).toMatch(/^\r█{12}░{12} step 50 of 100, 600 ms a step, 30 s left .*emotion 0\.700/);
    display.clear();
    expect(written[2]).toBe('\r\u001b[K');
  });

  it('estimates the time left from the last twenty steps, in minutes or hours if it is long', () => {
    const { display, written } = terminal(true);
    for (let step = 1; step <= 20; step++) display.show({ step, end: 2000, losses, stepMs: 10_000 });
    expect(written.at(-1)).toContain('step 20 of 2000, 10000 ms a step, 5 h 30 min left');
    for (let step = 21; step <= 40; step++) display.show({ step, end: 2000, losses, stepMs: 1000 });
    expect(written.at(-1)).toContain('step 40 of 2000, 1000 ms a step, 33 min left');
  });

  it('cuts the line in a narrow terminal, so that it never wraps', () => {
    const { display, written } = terminal(true, 40);
    display.show({ step: 1, end: 2, losses, stepMs: 1 });
    expect(written[0]?.replace('\r', '').replace('\u001b[K', '')).toHaveLength(39);
  });

  it('prints a line now and then, and one at the end, where it cannot redraw', () => {
    const { display, written, wait } = terminal(false);
    for (let step = 1; step <= 25; step++) {
      wait(1000);
      display.show({ step, end: 25, losses, stepMs: 1000 });
    }
    display.clear();
    expect(written.map((line) => /step (\d+) of 25.*\n$/.exec(line)?.[1])).toEqual(['10', '20', '25']);
  });
});
