/**
 * Reads the corpora's own feature settings from the bucket: one object `state/feature-settings/<corpus>.json` for each corpus that
 * differs from the service's settings.
 *
 * Delivery: the map is read whole or not at all, so an outage of the store changes nothing. An invalid object is reported once,
 * with CONFIG_INVALID. Its corpus keeps its previous settings (after a start, the service's settings).
 */
import type { FeatureSettings } from '#audio/feature-settings.js';
import { parseOverrides, settledWith, SettingsMap } from '#audio/settings-by-corpus.js';
import type { FeatureOverrides } from '#contracts/feature-settings.js';
import { featureSettingsPrefix, parseFeatureSettingsKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ListedObject, Objects } from '#storage/object-store.js';

export interface SettingsObjectsOptions {
  store: Pick<Objects, 'list' | 'find'>;
  base: FeatureSettings;
  /** @throws PipelineError if this machine cannot make tiles under these settings */
  check: (settings: FeatureSettings) => Promise<void>;
  onInvalid: (error: PipelineError) => void;
}

/** The objects of the bucket as last read. */
export class SettingsObjects {
  /** Overrides by corpus, with the listed ETag. They are null if the object is invalid and none was valid before. */
  private readonly known = new Map<string, { etag: string; overrides: FeatureOverrides | null }>();

  constructor(private readonly options: SettingsObjectsOptions) {}

  /** @throws PipelineError STORAGE_UNAVAILABLE; the previous map then stays */
  async read(): Promise<SettingsMap> {
    const present = new Set<string>();
    for await (const { key, etag } of this.options.store.list(featureSettingsPrefix)) {
      const corpus = parseFeatureSettingsKey(key);
      if (corpus === null) continue;
      present.add(corpus);
      if (this.known.get(corpus)?.etag !== etag) await this.readOne(corpus, { key, etag });
    }
    for (const corpus of this.known.keys()) if (!present.has(corpus)) this.known.delete(corpus);
    const valid = [...this.known].flatMap(([corpus, { overrides }]) => (overrides ? [[corpus, overrides] as const] : []));
    return SettingsMap.of(this.options.base, new Map(valid));
  }

  private async readOne(corpus: string, { key, etag }: Pick<ListedObject, 'key' | 'etag'>): Promise<void> {
    const found = await this.options.store.find(key);
    if (!found) return; // deleted after the listing; the next reading notices
    const before = this.known.get(corpus)?.overrides ?? null;
    try {
      const overrides = parseOverrides(found.bytes);
      await this.options.check(settledWith(this.options.base, overrides).settings);
      this.known.set(corpus, { etag, overrides });
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
      const keeps = before ? 'its previous settings' : "the service's settings";
      this.options.onInvalid(
        new PipelineError('CONFIG_INVALID', `${key}: ${error.message}. Corpus ${corpus} keeps ${keeps}.`, { cause: error }),
      );
      this.known.set(corpus, { etag, overrides: before });
    }
  }
}
