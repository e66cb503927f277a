/**
 * What compaction has to know of the topics: the current version of each utterance, the announced shards, the feature settings
 * of each corpus and what cannot be made under them, and which predictions were scored. Smaller than the trainer's index, since nothing else of a recording is kept.
 *
 * Delivery: facts may come twice and in any order between the topics; applying one again changes nothing.
 */
import { deadLetters, type DeadLetter } from '#contracts/dead-letters.js';
import { featureSettingsChosen, type FeatureSettingsChosen } from '#contracts/feature-settings.js';
import { evaluations, type ModelEvaluated } from '#contracts/evaluations.js';
import { shardsLabelled, shardsUnlabelled, type ShardSealed } from '#contracts/shards.js';
import { utterances, type UtteranceIngested } from '#contracts/utterances.js';
import type { TableFollower } from '#streaming/table-follower.js';

interface Known {
  /** The one copy of the name that shards' lists share. */
  utteranceId: string;
  version: string;
  /** Whether a model may have been scored on it. */
  heldOut: boolean;
}

export class CompactionState {
  private readonly current = new Map<string, Known>();
  private readonly evaluated = new Set<string>();
  readonly shards = new Map<string, ShardSealed>();
  /** Version and settings hash under which an utterance is a dead letter. */
  private readonly refusals = new Map<string, Set<string>>();
  /** Under which settings features makes the tiles of each corpus; null where it has not said so. */
  wanted: FeatureSettingsChosen | null = null;
  /** Rises when an utterance is erased that predictions may name. */
  erasures = 0;

  /** @param countFrom partition of `utterances` to the offset from which on erasures are counted; all are without it */
  constructor(private readonly countFrom: Record<number, string> = {}) {}

  followedBy(follower: TableFollower): TableFollower {
    return follower
      .on(utterances, (id, fact, { partition, offset }) => {
        const isCounted = BigInt(offset) >= BigInt(this.countFrom[partition] ?? 0);
        this.applyUtterance(id, fact, isCounted);
      })
      .on(shardsLabelled, (id, fact) => this.applyShard(id, fact))
      .on(shardsUnlabelled, (id, fact) => this.applyShard(id, fact))
      .on(featureSettingsChosen, (_key, fact) => void (this.wanted = fact))
      .on(deadLetters, (_key, fact) => fact && this.applyDeadLetter(fact))
      .on(evaluations, (_key, fact) => fact && this.applyEvaluation(fact));
  }

  applyUtterance(utteranceId: string, fact: Pick<UtteranceIngested, 'version' | 'withheld' | 'split'> | null, isCounted = true): void {
    const known = this.current.get(utteranceId);
    if (!fact) {
      // The topic's own compaction may have taken the record before a tombstone: then nobody knows whether it was held out.
      if (isCounted && (known?.heldOut ?? true)) this.erasures++;
      this.current.delete(utteranceId);
      return;
    }
    const heldOut = Boolean(known?.heldOut) || fact.withheld || fact.split !== 'train';
    if (!known) this.current.set(utteranceId, { utteranceId, version: fact.version, heldOut });
    else Object.assign(known, { version: fact.version, heldOut });
  }

  applyShard(shardId: string, fact: ShardSealed | null): void {
    if (!fact) return void this.shards.delete(shardId);
    for (const each of fact.utterances) each.utteranceId = this.current.get(each.utteranceId)?.utteranceId ?? each.utteranceId;
    this.shards.set(shardId, fact);
  }

  applyDeadLetter({
    stage,
    utteranceId,
    version,
    settingsHash,
  }: Pick<DeadLetter, 'stage' | 'utteranceId' | 'version' | 'settingsHash'>): void {
    if (stage !== 'features' || utteranceId === undefined || version === undefined || settingsHash === undefined) return;
    const own = this.refusals.get(utteranceId) ?? new Set();
    this.refusals.set(utteranceId, own.add(`${version}/${settingsHash}`));
  }

  isRefused(utteranceId: string, version: string, settingsHash: string): boolean {
    return this.refusals.get(utteranceId)?.has(`${version}/${settingsHash}`) ?? false;
  }

  /** Every utterance that is alive, in its current version. */
  live(): Iterable<{ utteranceId: string; version: string }> {
    return this.current.values();
  }

  applyEvaluation({ runId, step, task, split }: ModelEvaluated): void {
    this.evaluated.add(`${runId}/${step}/${task}/${split}`);
  }

  /** @returns undefined where there is no record: the utterance was erased, or never was */
  versionOf(utteranceId: string): string | undefined {
    return this.current.get(utteranceId)?.version;
  }

  isEvaluated({ runId, step, task, split }: Pick<ModelEvaluated, 'runId' | 'step' | 'split'> & { task: string }): boolean {
    return this.evaluated.has(`${runId}/${step}/${task}/${split}`);
  }

  /**
   * Utterances of some shards that are current and that no other shard of the same feature settings holds.
   * @param ids of the shards, whether announced or not
   */
  heldOnlyBy(shards: readonly ShardSealed[], ids: ReadonlySet<string>): { shardId: string; utteranceId: string }[] {
    const missing = new Map<string, { shardId: string; utteranceId: string }>();
    for (const { shardId, settingsHash, utterances: listed } of shards)
      for (const { utteranceId, version } of listed)
        if (this.versionOf(utteranceId) === version) missing.set(`${settingsHash}/${utteranceId}`, { shardId, utteranceId });
    for (const { shardId, settingsHash, utterances: listed } of this.shards.values()) {
      if (missing.size === 0) break;
      if (ids.has(shardId)) continue;
      for (const { utteranceId, version } of listed)
        if (this.versionOf(utteranceId) === version) missing.delete(`${settingsHash}/${utteranceId}`);
    }
    return [...missing.values()];
  }
}
