/** The names of presets: sets of values that belong together, for feature settings, model settings and training. */
export const presetNames = ['paper', 'recommended'] as const;
export type PresetName = (typeof presetNames)[number];
