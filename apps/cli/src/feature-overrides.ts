/** Reads the changes that `undertone reprocess` is asked for: `--set name=value`, `--unset name`, `--default`. */
import { featureOverrideNames, featureOverridesSchema, type FeatureOverrides } from '#contracts/feature-settings.js';
import { PipelineError } from '#contracts/pipeline-error.js';

type Name = keyof FeatureOverrides;

export interface OverrideChange {
  set: FeatureOverrides;
  unset: readonly Name[];
  /** Remove all settings of the corpus's own. */
  toDefault: boolean;
}

/** Without a change, reprocess only makes the missing tiles under the present settings. */
export const isNoChange = ({ set, unset, toDefault }: OverrideChange): boolean =>
  !toDefault && unset.length === 0 && Object.keys(set).length === 0;

export const applyChange = (before: FeatureOverrides, { set, unset, toDefault }: OverrideChange): FeatureOverrides =>
  toDefault ? {} : Object.fromEntries(Object.entries({ ...before, ...set }).filter(([name]) => !unset.includes(name as Name)));

/** @throws PipelineError CONFIG_INVALID */
export function parseOverrideName(name: string): Name {
  const known = featureOverrideNames.find((each) => each === name);
  if (!known)
    throw new PipelineError(
      'CONFIG_INVALID',
      `${name} is not a feature setting that a corpus may choose. Expected one of: ${featureOverrideNames.join(', ')}.`,
    );
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
    throw new PipelineError('CONFIG_INVALID', `--set ${pair}: expected ${name}=value${why ? ` (${why})` : ''}`);
  }
  return found.data;
}
