/** `undertone features` makes the tiles that the service would make under the same variables. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { encodeWav } from '#audio/decode/encode-wav.js';
import { readShard } from '#audio/shard/shard-file.js';
import { featureOverrideNames } from '#contracts/feature-settings.js';
import { featureChangesOf, featureVariables } from '#service/feature-variables.js';
import { readConfig } from '#service/read-config.js';
import { FeaturesCommand } from './features.command.js';

let folder: string;
let out: string;
let recording: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-features-'));
  [out, recording] = [join(folder, 'tiles.arrow'), join(folder, 'a.wav')];
  const samples = Float32Array.from({ length: 16_000 }, (_, i) => 0.1 * Math.sin(i * 0.2));
  writeFileSync(recording, encodeWav([samples], { sampleRateHz: 16_000 }));
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const settingsOf = async (options: Partial<Parameters<FeaturesCommand['run']>[1]> = {}) => {
  await new FeaturesCommand().run([recording], { out, ...options });
  return readShard(readFileSync(out)).settings;
};

it('follows the variables of the service', async () => {
  const asked = {
    LOUDNESS_REFERENCE: 'full-scale',
    FREQUENCY_SCALE: 'mel',
    BAND_LIMIT_HZ: 'none',
    TILE_LAYOUT: 'centre',
    TILE_MIN_SPEECH: '0.3',
    SILENCE_METHOD: 'top-db',
    SILENCE_TOP_DB: '30',
    MAX_DURATION_SEC: '9',
  };
  for (const [name, value] of Object.entries(asked)) vi.stubEnv(name, value);
  expect(await settingsOf()).toMatchObject({
    reference: 'full-scale',
    scale: 'mel',
    bandLimitHz: null,
    layout: 'centre',
    minSpeechShare: 0.3,
    silenceMethod: 'top-db',
    silenceTopDb: 30,
    maxDurationSec: 9,
  });
});

it('prefers what its options say', async () => {
  vi.stubEnv('FREQUENCY_SCALE', 'mel');
  expect(await settingsOf({ scale: 'linear', set: { reference: 'full-scale', width: 128 } })).toMatchObject({
    scale: 'linear',
    reference: 'full-scale',
    width: 128,
  });
});

it('refuses a wrong variable and names it', async () => {
  vi.stubEnv('LOUDNESS_REFERENCE', 'loud');
  await expect(settingsOf()).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('LOUDNESS_REFERENCE') });
});

it('reads a variable for each setting that a corpus may choose, and for window and shift', () => {
  const names = Object.keys(featureChangesOf(readConfig(featureVariables, {})));
  expect(names.sort()).toEqual(['hopLength', 'winLength', ...featureOverrideNames].sort());
});
