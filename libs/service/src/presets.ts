/**
 * Presets: values of environment variables that belong together. `PRESET` names one. A variable that the operator sets wins
 * over the preset.
 *
 * Tiles of one preset and models of the other do not fit well, so features and trainer read the same variable. The model's own
 * part of a preset is in libs/paper/src/presets.ts.
 */
import { z } from 'zod';
import { type PresetName, presetNames } from '#contracts/presets.js';
import { type Environment, readConfig } from './read-config.js';

export const presetVariables = {
  PRESET: z
    .enum(presetNames)
    .default('paper')
    .describe(
      '`paper`: tiles, network and training as in the paper. `recommended`: values that learnt best on recordings of real people (docs/training.md). `undertone up`, `demo --labelled` and the Compose file set `recommended`.',
    ),
};

/** Half as many rows and frames as the paper's tiles, over the same 2.56 s, with rows as close together as ears need them. */
const values: Record<PresetName, Record<string, string>> = {
  paper: {},
  recommended: {
    FREQUENCY_SCALE: 'mel',
    TILE_ROWS: '64',
    TILE_FRAMES: '128',
    FRAME_SHIFT_MS: '20',
    WINDOW_MS: '46',
    LEARNING_RATE_SCHEDULE: 'cosine',
    WARMUP_STEPS: '20',
  },
};

/** The values that a preset gives to environment variables. */
export const presetValues: Readonly<Record<PresetName, Readonly<Record<string, string>>>> = values;

/**
 * @returns the environment, with the preset's values for variables that are unset or empty
 * @throws PipelineError CONFIG_INVALID if `PRESET` names none
 */
export function withPreset(environment: Environment): Environment {
  const { PRESET } = readConfig(presetVariables, environment);
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== '' && value !== undefined));
  return { ...presetValues[PRESET], ...given };
}
