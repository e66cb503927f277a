/**
 * The preset of a stack that keeps its data. A stack begins with `recommended`. It keeps the preset that it began with, because
 * another one makes all tiles and the model anew; only the operator's `PRESET` changes it. A stack with data from before there
 * were presets has `paper`, which is what it was made with.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PresetName, presetNames } from '#contracts/presets.js';
import { PipelineError } from '#contracts/pipeline-error.js';

/**
 * @param dataDir the stack's folder; the preset is noted in it
 * @param wanted the operator's `PRESET`, if there is one
 * @throws PipelineError CONFIG_INVALID if `wanted` is no preset
 */
export function stackPreset(dataDir: string, wanted: string | undefined): PresetName {
  const file = join(dataDir, 'preset');
  const noted = existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
  const began = noted ?? (existsSync(join(dataDir, 'kafka')) ? 'paper' : 'recommended');
  const preset = presetNames.find((name) => name === (wanted || began));
  if (!preset) throw new PipelineError('CONFIG_INVALID', `PRESET is ${wanted || began}. Expected one of: ${presetNames.join(', ')}.`);
  if (preset !== noted) {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    writeFileSync(file, `${preset}\n`);
  }
  return preset;
}
