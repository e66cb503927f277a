/**
 * Gives corpora other feature settings, or makes the missing tiles under the settings they have.
 *
 * Delivery: the wanted settings are one object in the bucket, written only if nobody changed it since it was read. Features reads
 * it by itself, and its consumer group for these settings comes to every record that it has not committed. The group may have
 * committed records of the corpus earlier, when the corpus had other settings. Such an utterance is in no shard and in no dead
 * letter, although the group is past its record; a hint has it published again. A needless hint only makes the same tiles twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { settledWith, parseOverrides, type CorpusSettings, type SettingsAnswer } from '#audio/settings-by-corpus.js';
import { canonicalJson } from '#audio/feature-settings.js';
import type { FeatureOverrides } from '#contracts/feature-settings.js';
import { hintAt, objectHints } from '#contracts/object-hints.js';
import { featureSettingsKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { topicName } from '#contracts/topic.js';
import { utterances } from '#contracts/utterances.js';
import type { CorpusCoverage } from '#overview/overview-snapshot.js';
import type { PipelineOverview } from '#overview/pipeline-overview.js';
import { featuresGroup } from '#streaming/consumer-groups.js';
import { deleteOwn } from '#storage/delete-own.js';
import { committedOffsets } from '#streaming/group-lag.js';
import type { Publisher } from '#streaming/publisher.js';
import type { TableFollower } from '#streaming/table-follower.js';
import { askFeatures } from './ask-services.js';
import type { Connections } from './connect.js';
import { applyChange, isNoChange, type OverrideChange } from './feature-overrides.js';

export interface CorpusPlan {
  corpus: string;
  now: CorpusSettings;
  next: CorpusSettings;
  /** The object as it was read; null if there is none. */
  etag: string | null;
  /** True if the object has to be written. */
  isChange: boolean;
  coverage: CorpusCoverage;
  hasNewGeometry: boolean;
}

const hintsAtOnce = 1_000;
/** Allowed beyond the interval at which features checks its settings, for reading the bucket and starting consumers on a busy machine. */
const takenWithinMs = 60_000;
const pollMs = 500;

export const settingsOf = (answer: SettingsAnswer, corpus: string): CorpusSettings =>
  (Object.hasOwn(answer.corpora, corpus) ? answer.corpora[corpus] : undefined) ?? answer.default;

export class CorpusReprocessing {
  private hinted = new Set<string>();

  constructor(
    private readonly connections: Connections,
    private readonly overview: PipelineOverview,
    private readonly follower: Pick<TableFollower, 'sync'>,
  ) {}

  /** @throws PipelineError CONFIG_INVALID, SETTINGS_INVALID */
  async plan(corpus: string, change: OverrideChange, answer: SettingsAnswer): Promise<CorpusPlan> {
    const found = await this.connections.store.find(featureSettingsKey(corpus));
    const now = settingsOf(answer, corpus);
    const before: FeatureOverrides = found && !change.toDefault ? parseOverrides(found.bytes) : {};
    const overrides = applyChange(before, change);
    const next = isNoChange(change) ? now : settledWith(answer.default.settings, overrides);
    const isSaid = canonicalJson(overrides) === canonicalJson(before) && (!change.toDefault || !found);
    return {
      corpus,
      now,
      next,
      etag: found?.etag ?? null,
      isChange: !isNoChange(change) && !isSaid,
      coverage: this.coverageOf(corpus, next.hash),
      hasNewGeometry: now.settings.rows !== next.settings.rows || now.settings.width !== next.settings.width,
    };
  }

  coverageOf(corpus: string, hash: string): CorpusCoverage {
    return this.overview.coverageUnder(corpus, hash);
  }

  /** Writes the settings, and waits until features uses them. @throws PipelineError CONFIG_INVALID */
  async apply(plans: readonly CorpusPlan[], readEverySec: number): Promise<void> {
    const changed = plans.filter(({ isChange }) => isChange);
    if (changed.length === 0) return;
    for (const plan of changed) await this.write(plan);
    const writtenAtMs = performance.now();
    const deadline = writtenAtMs + readEverySec * 1000 + takenWithinMs;
    while (!(await this.isTaken(changed))) {
      if (performance.now() > deadline)
        throw new PipelineError(
          'CONFIG_INVALID',
          `features has not adopted the settings within ${Math.round((deadline - writtenAtMs) / 1000)} s. They stay written. The log of features says why; then run the command again.`,
        );
      await sleep(pollMs);
    }
    // Other instances of features check as often, but at other times. Until then they skip records by the older map.
    await sleep(Math.max(0, writtenAtMs + readEverySec * 1000 + 2 * pollMs - performance.now()));
  }

  /** Has published again what the groups will not come to by themselves; each record once. @returns how many */
  async hint(plans: readonly CorpusPlan[], publisher: Pick<Publisher<'cli'>, 'publish'>): Promise<number> {
    const { kafka, topicPrefix } = this.connections;
    const topic = topicName(utterances, topicPrefix);
    const committed = new Map<string, Map<number, bigint>>();
    for (const hash of new Set(plans.map(({ next }) => next.hash)))
      committed.set(hash, await committedOffsets(kafka, featuresGroup(topicPrefix, hash), topic));
    // Read after the commits, so that every shard announced before them is known.
    await this.follower.sync();
    const keys: string[] = [];
    for (const { corpus, next } of plans) {
      for (const { utteranceId, objectKey } of this.coverageOf(corpus, next.hash).missing) {
        const place = this.overview.placeOf(utteranceId);
        const reached = place && committed.get(next.hash)?.get(place.partition);
        const name = `${utteranceId}@${place?.partition}/${place?.offset}`;
        if (!place || reached === undefined || BigInt(place.offset) >= reached || this.hinted.has(name)) continue;
        this.hinted.add(name);
        keys.push(objectKey);
      }
    }
    for (let at = 0; at < keys.length; at += hintsAtOnce)
      await publisher.publish(objectHints, ...keys.slice(at, at + hintsAtOnce).map((key) => hintAt(key, 'replay', true)));
    return keys.length;
  }

  private async write({ corpus, next, etag }: CorpusPlan): Promise<void> {
    const { store } = this.connections;
    const key = featureSettingsKey(corpus);
    if (Object.keys(next.overrides).length === 0) return deleteOwn(store, key, 'featureSettings');
    const onlyIf = etag === null ? 'absent' : { etag };
    const written = await store.put(key, `${JSON.stringify(next.overrides, null, 2)}\n`, { onlyIf, contentType: 'application/json' });
    if (written === null) throw new PipelineError('CONFIG_INVALID', `Another process changed ${key} meanwhile. Run the command again.`);
  }

  private async isTaken(plans: readonly CorpusPlan[]): Promise<boolean> {
    const answer = await askFeatures(this.connections).catch(() => null);
    return answer !== null && plans.every(({ corpus, next }) => settingsOf(answer, corpus).hash === next.hash);
  }
}
