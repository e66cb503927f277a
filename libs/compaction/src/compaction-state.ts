/**
 * The facts that compaction needs from the topics: the current version of each utterance, the announced shards, the feature
 * settings of each corpus and the dead letters under them, and the predictions that were scored. It is smaller than the
 * trainer's index, because it keeps nothing else of a recording.
 *
 * Delivery: facts may come twice and in any order between the topics. Applying one again changes nothing.
 */
import { deadLetters, type DeadLetter } from '#contracts/dead-letters.js';
import { featureSettingsChosen, type FeatureSettingsChosen } from '#contracts/feature-settings.js';
import { evaluations, type ModelEvaluated } from '#contracts/evaluations.js';
import { shardsLabelled, shardsUnlabelled, type ShardSealed } from '#contracts/shards.js';
import { utterances, type UtteranceIngested } from '#contracts/utterances.js';
import type { TableFollower } from '#streaming/table-follower.js';

interface Known {
  /** The one copy of the id that the lists of shards share. */
  utteranceId: string;
  version: string;
  /** True if a model may have been scored on it. */
  heldOut: boolean;
}

export class CompactionState {
  private readonly current = new Map<string, Known>();
  private readonly evaluated = new Set<string>();
  readonly shards = new Map<string, ShardSealed>();
  /** Version and settings hash of each dead letter of an utterance. */
  private readonly refusals = new Map<string, Set<string>>();
  /** The settings that features uses for each corpus; null if features has not announced them. */
  wanted: FeatureSettingsChosen | null = null;
  /** Rises when an utterance is erased that predictions may name. */
  erasures = 0;

  /** @param countFrom partition of `utterances` to the offset from which erasures count. Without it, all count. */
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
      // The topic's own compaction may have removed the record before a tombstone. Then it is unknown if the utterance was held out.
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

  /** Every live utterance with its current version. */
  live(): Iterable<{ utteranceId: string; version: string }> {
    return this.current.values();
  }

  applyEvaluation({ runId, step, task, split }: ModelEvaluated): void {
    this.evaluated.add(`${runId}/${step}/${task}/${split}`);
  }

  /** @returns undefined if there is no record: the utterance was erased or never existed */
  versionOf(utteranceId: string): string | undefined {
    return this.current.get(utteranceId)?.version;
  }

  isEvaluated({ runId, step, task, split }: Pick<ModelEvaluated, 'runId' | 'step' | 'split'> & { task: string }): boolean {
    return this.evaluated.has(`${runId}/${step}/${task}/${split}`);
  }

  /**
   * Finds the current utterances of some shards that no other shard of the same feature settings holds.
   * @param ids ids of the shards, announced or not
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
