import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { sweepTemporaryAudio, withTemporaryFile } from './temporary-audio.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-sweep-'));
  vi.stubEnv('TMPDIR', folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

it('a sweep removes the folders of killed decoders, but no folder in use and none of other programs', async () => {
  for (const name of ['undertone-audio-old', 'undertone-audio-young', 'other-old']) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'audio'), 'sound');
    if (name.endsWith('old')) utimesSync(join(folder, name), 1_000, 1_000);
  }
  expect(await sweepTemporaryAudio(3_600_000)).toBe(1);
  expect(readdirSync(folder).sort()).toEqual(['other-old', 'undertone-audio-young']);
});

it('a temporary file is deleted when its work fails', async () => {
  const failing = withTemporaryFile(new Uint8Array(3), (path) => Promise.reject(new Error(`cannot read ${path}`)));
  await expect(failing).rejects.toThrow('cannot read');
  expect(readdirSync(folder)).toEqual([]);
});
