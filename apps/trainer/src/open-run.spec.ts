import { expect, it } from 'vitest';
import { configHashOf, plainRounds, type RunSettings } from '#rounds/run-settings.js';
import { runFor, findRunFor } from './open-run.js';

const run: RunSettings = {
  runId: 'main-default',
  model: { target: 'valence' },
  batch: { labelled: 4, unlabelled: 4 },
  roundSteps: 10,
  ...plainRounds,
  reportEvery: 5,
  checkpointEvery: 5,
  statisticsTiles: 8,
  seed: 3,
  codeVersion: 'test',
};
const idFor = (tile: [number, number] | null, model = run.model): string => runFor({ run: { ...run, model }, runName: 'main' }, tile).runId;

it('tiles of the usual geometry are for the run that there is without any', () => {
  expect(idFor([128, 256])).toBe(idFor(null));
  expect(idFor(null)).toBe(`main-${configHashOf(run)}`);
});

it('tiles of another geometry are for another run, whose network has that input', () => {
  const wide = runFor({ run, runName: 'main' }, [128, 512]);
  expect(wide.runId).not.toBe(idFor(null));
  expect(wide.model).toEqual({ tile: [128, 512], target: 'valence' });
});

it('a tile that the settings name is never replaced: then the round says that it does not fit', () => {
  const model = { tile: [64, 256] };
  expect(idFor([128, 256], model)).toBe(idFor(null, model));
});

it('gives the reason where shards state tiles that no network takes, so that the trainer can wait', () => {
  const refused = findRunFor({ run, runName: 'main' }, [1000, 1]);
  expect(refused).toMatchObject({ code: 'SETTINGS_INVALID', message: expect.stringContaining('1 frames') as string });
  expect(findRunFor({ run, runName: 'main' }, [128, 512])).toEqual(runFor({ run, runName: 'main' }, [128, 512]));
});
