/**
 * Presets of model settings. `paper` is the paper's network, read literally. `recommended` is the recipe that learnt best on
 * dev speakers of recordings of real people; docs/training.md names the source of each part and the trials.
 * Settings that are given beside a preset win over it.
 */
import type { PresetName } from '#contracts/presets.js';

export const modelPresets: Readonly<Record<PresetName, Readonly<Record<string, unknown>>>> = {
  paper: {},
  recommended: {},
};
