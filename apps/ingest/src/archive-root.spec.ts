import { expect, it } from 'vitest';
import { archiveRoot } from './archive-root.js';

it.each([
  [
    'a folder around everything',
    ['calls/a.wav', 'calls/manifest.csv', '__MACOSX/calls/._a.wav', '__MACOSX/calls/._manifest.csv'],
    'calls/',
    [],
  ],
  ['annotations at the top', ['manifest.csv', 'calls/manifest.csv', 'calls/a.wav'], '', []],
  ['no annotations', ['calls/a.wav', 'more/b.wav'], '', []],
  ["a release's own folder, which its reader knows", ['CREMA-D/VideoDemographics.csv', 'CREMA-D/AudioWAV/1001_DFA_ANG_XX.wav'], '', []],
  ['recordings beside the folder', ['calls/manifest.csv', 'calls/a.wav', 'b.wav'], '', ['calls/manifest.csv']],
  ['two folders with a manifest each', ['x/manifest.csv', 'x/a.wav', 'y/manifest.csv'], '', ['x/manifest.csv', 'y/manifest.csv']],
])('%s', (_kind, paths, folder, strays) => {
  expect(archiveRoot(paths)).toEqual({ folder, strays });
});
