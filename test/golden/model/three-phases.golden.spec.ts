/**
 * Our three-phase step against PyTorch's, written apart from it (bench/peers/three_phases.py makes the arrays): first
 * losses and gradients to 1e-4, losses and weights after five steps of plain descent to 1e-4, after ten of Adam to 3e-2
 * (float32 alone moves Adam that far: where a gradient is nearly 0, its sign decides). Relative to the largest of a tensor.
 */
import { readFileSync } from 'node:fs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { chooseBackend } from '../../../libs/tensor/src/backend.js';
import { type Model, modelParameters, modelStatistics } from '../../../libs/paper/src/model.js';
import { ADAM_STEPS, caseModel, cases, runCase, SGD_STEPS } from '../../../libs/paper/src/three-phases.fixture.js';
import type { StepLosses } from '../../../libs/paper/src/train-step.js';

interface Run {
  losses: Partial<StepLosses>[];
  /** Base64 of float32. */
  weights: Record<string, string>;
}
interface GoldenCase {
  name: string;
  sgd: Run;
  adam: Run;
  gradients: Record<string, string>;
}
const golden = JSON.parse(readFileSync(new URL('three-phases.json', import.meta.url), 'utf8')) as { torch: string; cases: GoldenCase[] };
const floats = (text: string) => new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer);

let model: Model | undefined;
beforeAll(async () => void (await chooseBackend({ requested: 'cpu', hasGpu: false, log: () => undefined })));
afterEach(() => model?.dispose());

/** The largest difference, of the largest value. */
function distance(ours: Float32Array, theirs: Float32Array): number {
  expect(ours).toHaveLength(theirs.length);
  const largest = theirs.reduce((top, value) => Math.max(top, Math.abs(value)), 1e-6);
  return theirs.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (ours[i] as number))), 0) / largest;
}

function expectLosses(ours: StepLosses, theirs: Partial<StepLosses>, tolerance: number): void {
  for (const [name, expected] of Object.entries(theirs) as [keyof StepLosses, number][])
    expect(Math.abs((ours[name] as number) - expected), name).toBeLessThanOrEqual(tolerance * Math.max(1e-3, Math.abs(expected)));
  // What PyTorch does not have, ours must not have either.
  const present = Object.entries(ours).flatMap(([name, loss]) => (loss === null || name === 'total' ? [] : [name]));
  expect(present.sort()).toEqual(Object.keys(theirs).sort());
}

function weightsOf(of: Model): Map<string, Float32Array> {
  return new Map([...modelParameters(of), ...modelStatistics(of)].map(({ name, value }) => [name, value.dataSync<'float32'>()]));
}

it('has a golden of every case', () => expect(golden.cases.map(({ name }) => name)).toEqual(Object.keys(cases)));

describe.each(golden.cases)('$name', ({ name, sgd, adam, gradients }) => {
  it('has the first losses and gradients of PyTorch, and its five steps of plain descent', async () => {
    model = caseModel(cases[name] ?? {});
    const run = await runCase(model, SGD_STEPS, 'sgd');
    expectLosses(run.losses[0] as StepLosses, sgd.losses[0] ?? {}, 1e-4);
    expect([...run.gradients.keys()].sort()).toEqual(Object.keys(gradients).sort());
    for (const [of, gradient] of run.gradients) expect(distance(gradient, floats(gradients[of] as string)), of).toBeLessThan(1e-4);
    run.losses.forEach((losses, step) => expectLosses(losses, sgd.losses[step] ?? {}, 1e-4));
    for (const [of, weights] of weightsOf(model)) expect(distance(weights, floats(sgd.weights[of] as string)), of).toBeLessThan(1e-4);
  });

  it('has its ten steps of Adam', async () => {
    model = caseModel(cases[name] ?? {});
    const run = await runCase(model, ADAM_STEPS, 'adam');
    run.losses.forEach((losses, step) => expectLosses(losses, adam.losses[step] ?? {}, 3e-2));
    for (const [of, weights] of weightsOf(model)) expect(distance(weights, floats(adam.weights[of] as string)), of).toBeLessThan(3e-2);
  });
});
