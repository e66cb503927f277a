import { describe, expect, it } from 'vitest';
import { parseModelSettings } from '#paper/settings.js';
import type { StepLosses } from '#paper/train-step.js';
import { divergenceFinding, labelFindings, LossWatch } from './diagnose-training.js';
import { viewOf, type ViewUtterance } from '#index/training-index.js';

const settings = parseModelSettings({});
const utterance = (labels: ViewUtterance['labels'], split: ViewUtterance['split'] = 'train'): ViewUtterance => ({
  utteranceId: `c/${Math.random()}`,
  version: 'v',
  objectKey: 'c/a',
  stream: 'labelled',
  labels,
  split,
  withheld: false,
  shardId: 's',
  shardObjectKey: 's',
  firstRow: 0,
  tileCount: 1,
});
const all = (['angry', 'happy', 'neutral', 'sad'] as const).flatMap((category) =>
  (['female', 'male'] as const).map((gender) => utterance({ category, gender, speakerId: `c/${gender}` })),
);

describe('the labels of a view', () => {
  it('give no finding if nothing is missing', () => expect(labelFindings(viewOf('h', all), settings)).toEqual([]));

  it('give a finding for a missing class, whatever the held-out speakers have', () => {
    const without = all.filter(({ labels }) => labels.category !== 'happy');
    const heldOut = utterance({ category: 'happy', gender: 'male', speakerId: 'c/x' }, 'test');
    expect(labelFindings(viewOf('h', [...without, heldOut]), settings)).toEqual([
      expect.stringContaining('No training utterance is happy'),
    ]);
  });

  it('give a finding for a head without labels, but not for a head that is turned off', () => {
    const view = viewOf('h', [utterance({})]);
    expect(labelFindings(view, settings)).toEqual([
      expect.stringContaining('has an emotion'),
      expect.stringContaining('auxiliary.gender: false'),
      expect.stringContaining('auxiliary.speaker: false'),
    ]);
    expect(labelFindings(view, parseModelSettings({ auxiliary: { gender: false, speaker: false } }))).toHaveLength(1);
  });
});

describe('the losses', () => {
  const fine: StepLosses = {
    reconstruction: 0.01,
    discriminator: 0.5,
    generator: 1,
    discriminatorAccuracy: 0.8,
    emotion: 0.9,
    gender: 0.3,
    speaker: 2,
    total: 1,
  };
  const watch = (generatorLoss: 'non-saturating' | 'literal' = 'non-saturating', realLabel = 0.9) =>
    LossWatch.of(parseModelSettings({ regularisation: { generatorLoss, realLabel } }), 24);
  const repeated = (of: LossWatch, losses: StepLosses, times: number) => Array.from({ length: times }, () => of.observe(losses)).flat();
  /** Losses with a reconstruction loss that keeps falling, so that learning has not stalled. */
  let reports = 0;
  const observeAll = (of: LossWatch, losses: StepLosses, times: number) =>
    Array.from({ length: times }, () => of.observe({ ...losses, reconstruction: 0.1 * 0.995 ** reports++ })).flat();

  it('give no finding while they fall, however slowly', () => {
    const watched = watch();
    const said = Array.from({ length: 400 }, (_, report) =>
      watched.observe({ ...fine, emotion: 0.9 - report * 0.0005, reconstruction: 0.01 + (report % 3) * 0.001 }),
    ).flat();
    expect(said).toEqual([]);
  });

  it('give a finding when all of them have stopped falling', () => {
    const watched = watch();
    expect(repeated(watched, fine, 119)).toEqual([]);
    expect(repeated(watched, fine, 60)).toEqual([expect.stringContaining('Learning has stalled')]);
    expect([...watched.complaints]).toHaveLength(1);
    expect(repeated(watched, { ...fine, speaker: 1.5 }, 60)).toEqual([]);
    expect([...watched.complaints]).toEqual([]);
  });

  it('report a discriminator that has won once, and again after that had passed', () => {
    const watched = watch();
    const won = { ...fine, discriminator: 0.17, generator: 9, discriminatorAccuracy: 1 };
    expect(observeAll(watched, won, 60)).toEqual([expect.stringContaining('The discriminator has won')]);
    expect(observeAll(watched, fine, 40)).toEqual([]);
    expect(observeAll(watched, won, 60)).toHaveLength(1);
  });

  it('report a discriminator that has won against the printed form log(1 - D), which is never above 0', () => {
    const won = { ...fine, discriminator: 0.17, generator: -0.02, discriminatorAccuracy: 1 };
    expect(observeAll(watch('literal'), won, 60)).toEqual([expect.stringContaining('The discriminator has won')]);
    const atWork = { ...fine, discriminator: 0.5, generator: -0.4, discriminatorAccuracy: 0.8 };
    expect(observeAll(watch('literal'), atWork, 60)).toEqual([]);
  });

  it('report a discriminator that has won at the floor that the real label gives', () => {
    const losses = { ...fine, discriminator: 0.17, generator: 9, discriminatorAccuracy: 1 };
    expect(observeAll(watch('non-saturating', 1), losses, 60)).toEqual([]);
    expect(observeAll(watch('non-saturating', 1), { ...losses, discriminator: 0.01 }, 60)).toHaveLength(1);
  });

  // With real labels of 0.9 the best constant answer is 0.45, and its loss 0.688: below ln 2.
  it.each([0.7, 0.688])('report a discriminator that guesses, with a loss of %d', (discriminator) => {
    const guessing = { ...fine, discriminator, discriminatorAccuracy: 0.5 };
    expect(observeAll(watch(), guessing, 60)).toEqual([expect.stringContaining('The discriminator has collapsed')]);
  });

  it('report a head at chance, but not a head without labelled tiles', () => {
    expect(observeAll(watch(), { ...fine, emotion: 1.386 }, 30)).toEqual([expect.stringContaining('emotion head is at chance')]);
    expect(observeAll(watch(), { ...fine, emotion: null, speaker: null }, 30)).toEqual([]);
  });
});

it('reports the step and the rate at which a diverged run continues', () => {
  expect(divergenceFinding({ step: 6, rateScale: 0.5 })).toMatch(/went back to step 6 and continues with 0\.5 of learningRate/);
  expect(divergenceFinding({ step: 0, rateScale: 1 })).toMatch(/went back to its beginning and continues at the same rate/);
});
