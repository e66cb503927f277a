/** What `undertone reprocess` was asked to change: `--set name=value`, `--unset name`, `--default`. */
import { featureOverrideNames, featureOverridesSchema, type FeatureOverrides } from '#contracts/feature-settings.js';
import { PipelineError } from '#contracts/pipeline-error.js';

type Name = keyof FeatureOverrides;

export interface OverrideChange {
  set: FeatureOverrides;
  unset: readonly Name[];
  /** Nothing of its own. */
  toDefault: boolean;
}

/** Without any change, what is missing is made under the settings of now. */
export const isNoChange = ({ set, unset, toDefault }: OverrideChange): boolean =>
  !toDefault && unset.length === 0 && Object.keys(set).length === 0;

export const applyChange = (before: FeatureOverrides, { set, unset, toDefault }: OverrideChange): FeatureOverrides =>
  toDefault ? {} : Object.fromEntries(Object.entries({ ...before, ...set }).filter(([name]) => !unset.includes(name as Name)));

/** @throws PipelineError CONFIG_INVALID */
export function parseOverrideName(name: string): Name {
  const known = featureOverrideNames.find((each) => each === name);
  if (!known)
    throw new PipelineError('CONFIG_INVALID', `${name} is no feature setting of a corpus; these are: ${featureOverrideNames.join(', ')}`);
  return known;
}

/** @param pair `name=value`; `none` is null @throws PipelineError CONFIG_INVALID */
export function parseOverride(pair: string): FeatureOverrides {
  const [text = '', value] = pair.split(/=(.*)/s);
  const name = parseOverrideName(text);
  const candidates = [value === 'none' ? null : value, value?.trim() === '' ? Number.NaN : Number(value)];
  const found = candidates.map((each) => featureOverridesSchema.safeParse({ [name]: each })).find(({ success }) => success);
  if (value === undefined || !found?.data) {
    const why = featureOverridesSchema.safeParse({ [name]: candidates[Number.isNaN(candidates[1]) ? 0 : 1] }).error?.issues[0]?.message;
    throw new PipelineError('CONFIG_INVALID', `--set ${pair}: it must be ${name}=value${why ? ` (${why})` : ''}`);
  }
  return found.data;
}
