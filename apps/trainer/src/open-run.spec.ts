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

it('keeps the run of the settings for tiles of the default geometry', () => {
  expect(idFor([128, 256])).toBe(idFor(null));
  expect(idFor(null)).toBe(`main-${configHashOf(run)}`);
});

it('chooses another run with another network input for tiles of another geometry', () => {
  const wide = runFor({ run, runName: 'main' }, [128, 512]);
  expect(wide.runId).not.toBe(idFor(null));
  expect(wide.model).toEqual({ tile: [128, 512], target: 'valence' });
});

it('never replaces a tile that the settings name, so that the round reports the mismatch', () => {
  const model = { tile: [64, 256] };
  expect(idFor([128, 256], model)).toBe(idFor(null, model));
});

it('gives the reason where shards state tiles that no network takes, so that the trainer can wait', () => {
  const refused = findRunFor({ run, runName: 'main' }, [1000, 1]);
  expect(refused).toMatchObject({ code: 'SETTINGS_INVALID', message: expect.stringContaining('1 frames') as string });
  expect(findRunFor({ run, runName: 'main' }, [128, 512])).toEqual(runFor({ run, runName: 'main' }, [128, 512]));
});
