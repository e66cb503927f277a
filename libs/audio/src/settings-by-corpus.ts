/**
 * The feature settings of each corpus: the service's own settings with the corpus's overrides. Both features and the command
 * line compute them here, so that they cannot differ.
 */
import { featureOverridesSchema, type FeatureOverrides, type FeatureSettingsChosen } from '#contracts/feature-settings.js';
import { parseOutsideJson, usualMaxDepth } from '#contracts/outside-json.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { featureSettings, settingsHash, type FeatureSettings } from './feature-settings.js';

export interface CorpusSettings {
  hash: string;
  settings: FeatureSettings;
  overrides: FeatureOverrides;
}

/** Answer of features to `GET /settings`: the settings in use, once it has begun to use them. */
export interface SettingsAnswer {
  /** Interval at which features looks for changes. */
  readEverySec: number;
  default: CorpusSettings;
  corpora: Record<string, CorpusSettings>;
}

/** @throws PipelineError SETTINGS_INVALID */
export function settledWith(base: FeatureSettings, overrides: FeatureOverrides): CorpusSettings {
  const settings = featureSettings({ ...base, ...(overrides as Partial<FeatureSettings>) });
  return { hash: settingsHash(settings, null), settings, overrides };
}

/** Immutable: a change makes another map. */
export class SettingsMap {
  private constructor(
    readonly base: CorpusSettings,
    readonly corpora: ReadonlyMap<string, CorpusSettings>,
  ) {}

  /** @throws PipelineError SETTINGS_INVALID */
  static of(base: FeatureSettings, overrides: ReadonlyMap<string, FeatureOverrides> = new Map()): SettingsMap {
    return new SettingsMap(settledWith(base, {}), new Map([...overrides].map(([corpus, each]) => [corpus, settledWith(base, each)])));
  }

  hashOf(corpus: string): string {
    return (this.corpora.get(corpus) ?? this.base).hash;
  }

  /** Settings hash to settings: those of every named corpus, and the default for new corpora. */
  get inUse(): ReadonlyMap<string, FeatureSettings> {
    return new Map([this.base, ...this.corpora.values()].map(({ hash, settings }) => [hash, settings]));
  }

  /** True if a record that was skipped under the earlier map now belongs to this hash. */
  hasMoreUnder(hash: string, before: SettingsMap): boolean {
    const named = new Set([...this.corpora.keys(), ...before.corpora.keys()]);
    return [...named].some((corpus) => this.hashOf(corpus) === hash && before.hashOf(corpus) !== hash);
  }

  /** The fact that features announces to the later stages. */
  fact(): FeatureSettingsChosen {
    const chosen = ({ hash, settings }: CorpusSettings): FeatureSettingsChosen['default'] => ({
      settingsHash: hash,
      tile: [settings.rows, settings.width],
    });
    return {
      default: chosen(this.base),
      corpora: Object.fromEntries([...this.corpora].map(([corpus, each]) => [corpus, chosen(each)])),
      chosenAt: new Date().toISOString(),
    };
  }

  equals(other: SettingsMap): boolean {
    const asText = ({ base, corpora }: SettingsMap): string =>
      JSON.stringify([base.hash, [...corpora].map(([corpus, { hash }]) => [corpus, hash]).sort()]);
    return asText(this) === asText(other);
  }
}

const largestOverridesBytes = 100_000;

/** @throws PipelineError CONFIG_INVALID that lists all problems */
export function parseOverrides(bytes: Uint8Array): FeatureOverrides {
  const json = parseOutsideJson(bytes, { maxBytes: largestOverridesBytes, maxDepth: usualMaxDepth, code: 'CONFIG_INVALID', noun: 'it' });
  const parsed = featureOverridesSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}${path.length > 0 ? ': ' : ''}${message}`);
  throw new PipelineError('CONFIG_INVALID', problems.join('; '));
}
