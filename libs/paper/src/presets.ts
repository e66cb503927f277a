/**
 * Presets of model settings. `paper` is the paper's network, read literally. `recommended` is the recipe that learnt best on
 * dev speakers of recordings of real people; docs/training.md names the source of each part and the trials.
 * Settings that are given beside a preset win over it.
 */
import type { PresetName } from '#contracts/presets.js';

export const modelPresets: Readonly<Record<PresetName, Readonly<Record<string, unknown>>>> = {
  paper: {},
  recommended: {
    update: 'joint',
    filters: [8, 16, 32],
    pools: [
      [2, 2],
      [2, 2],
      [2, 2],
    ],
    speakerLoss: 'perLogK',
    classBalance: 'sampling',
    input: { standardise: 'rows' },
    augmentation: { shiftFrames: 8, masks: 1, maskRows: 8, maskFrames: 12 },
    discriminator: 'places',
  },
};
