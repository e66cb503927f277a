/**
 * Withdraws the shards of feature settings that no corpus uses any more. Their tiles are a full copy of the corpora in the
 * bucket, the topic and every index. They stay for a while, because an operator may go back to them.
 *
 * Settings are abandoned when two things hold. Features makes no tiles of any corpus under them. Every live version in their
 * shards has tiles or a dead letter under its corpus's own settings. `state/compaction/abandoned-settings.json` says since
 * when. They go after a grace period, once every corpus is complete under its own settings and all tiles have one geometry.
 * Then the trainer has moved (choose-settings.ts), and nobody needs them.
 *
 * Delivery: the note may be written twice. Shards are withdrawn one by one, and the state is checked before each group. After
 * a kill in between, the next compaction withdraws the rest. The objects go like all unannounced objects: after a grace
 * period, and not while a reader holds them (sweep-objects.ts).
 */
import { z } from 'zod';
import { featureSettingsOf, type FeatureSettingsChosen } from '#contracts/feature-settings.js';
import { abandonedSettingsKey, corpusOf } from '#contracts/object-keys.js';
import { shardTopicOf, type ShardSealed } from '#contracts/shards.js';
import type { Objects } from '#storage/object-store.js';
import type { Publisher } from '#streaming/publisher.js';
import { retrying } from '#streaming/retry.js';
import type { CompactionState } from './compaction-state.js';

export interface AbandonedSettings {
  settingsHash: string;
  shards: number;
  sizeBytes: number;
  since: string;
  /** The end of the grace period. The settings may stay longer, until every corpus is complete under its own settings. */
  until: string;
}

export interface RetiredSettings {
  /** Settings whose shards were withdrawn, or would be in a dry run. */
  retired: AbandonedSettings[];
  /** Settings that are abandoned and stay for now. */
  abandoned: AbandonedSettings[];
}

interface RetiringTools {
  store: Pick<Objects, 'findJson' | 'put'>;
  publisher: Pick<Publisher, 'tombstone'>;
  state: CompactionState;
  sync: () => Promise<void>;
  /** @throws PipelineError LEASE_LOST */
  verify: () => Promise<void>;
  /** Grace period of abandoned settings. */
  settingsGraceMs: number;
  dryRun: boolean;
}

const withdrawalsAtOnce = 500;

/** Withdraws the shards of settings whose grace period is over. Call it when the state has all facts. */
export async function retireSettings(tools: RetiringTools): Promise<RetiredSettings> {
  const { store, state, settingsGraceMs, dryRun } = tools;
  const { abandoned, isSettled } = lookAt(state);
  const before = await readSince(store);
  const now = Date.now();
  const since = Object.fromEntries([...abandoned].map((hash) => [hash, before[hash] ?? new Date(now).toISOString()]));
  if (!dryRun && JSON.stringify(since) !== JSON.stringify(before)) await writeSince(tools, since);
  const found = [...abandoned].sort().map((hash) => describe(state, hash, since[hash] ?? '', settingsGraceMs));
  const isDue = ({ until }: AbandonedSettings): boolean => isSettled && Date.parse(until) <= now;
  const retired = found.filter(isDue);
  if (!dryRun) for (const { settingsHash } of retired) await withdrawAll(settingsHash, tools);
  return { retired, abandoned: found.filter((each) => !isDue(each)) };
}

/** Checks the state before each group, because a corpus may go back to the settings at any time. */
async function withdrawAll(settingsHash: string, { state, sync, verify, publisher }: RetiringTools): Promise<void> {
  for (;;) {
    await verify();
    await sync();
    const { abandoned, isSettled } = lookAt(state);
    const shards = shardsOf(state, settingsHash).slice(0, withdrawalsAtOnce);
    if (shards.length === 0 || !isSettled || !abandoned.has(settingsHash)) return;
    for (const { stream, shardId } of shards) {
      await retrying(() => publisher.tombstone(shardTopicOf(stream), shardId));
      state.applyShard(shardId, null);
    }
  }
}

/** @returns the abandoned settings, and `isSettled` if every corpus is complete under its own settings */
function lookAt(state: CompactionState): { abandoned: Set<string>; isSettled: boolean } {
  const { wanted } = state;
  const abandoned = new Set([...state.shards.values()].map(({ settingsHash }) => settingsHash));
  if (!wanted) return { abandoned: new Set(), isSettled: false };
  for (const { settingsHash } of [wanted.default, ...Object.values(wanted.corpora)]) abandoned.delete(settingsHash);
  if (abandoned.size === 0) return { abandoned, isSettled: false };
  const own = coveredByOwnSettings(state, wanted);
  for (const { settingsHash, utterances } of state.shards.values()) {
    if (!abandoned.has(settingsHash)) continue;
    const isLive = ({ utteranceId, version }: ShardSealed['utterances'][number]): boolean => state.versionOf(utteranceId) === version;
    if (utterances.some((each) => isLive(each) && !own.covered.has(each.utteranceId))) abandoned.delete(settingsHash);
  }
  return { abandoned, isSettled: own.isWhole && own.geometries.size === 1 };
}

interface OwnCoverage {
  /** Utterances with tiles or a dead letter under the settings of their corpus. */
  covered: Set<string>;
  /** Geometries of the settings of all corpora that have tiles. */
  geometries: Set<string>;
  /** True if every live utterance of each corpus with tiles is covered. */
  isWhole: boolean;
}

function coveredByOwnSettings(state: CompactionState, wanted: FeatureSettingsChosen): OwnCoverage {
  const covered = new Set<string>();
  /** Corpora with live tiles under any settings, and corpora with live tiles under their own. */
  const [withTiles, withOwnTiles] = [new Set<string>(), new Set<string>()];
  for (const { settingsHash, utterances } of state.shards.values()) {
    for (const { utteranceId, version } of utterances) {
      if (state.versionOf(utteranceId) !== version) continue;
      const corpus = corpusOf(utteranceId);
      withTiles.add(corpus);
      if (featureSettingsOf(wanted, corpus).settingsHash !== settingsHash) continue;
      withOwnTiles.add(corpus);
      covered.add(utteranceId);
    }
  }
  for (const { utteranceId, version } of state.live()) {
    const { settingsHash } = featureSettingsOf(wanted, corpusOf(utteranceId));
    if (state.isRefused(utteranceId, version, settingsHash)) covered.add(utteranceId);
  }
  let isWhole = [...withTiles].every((corpus) => withOwnTiles.has(corpus)); // a corpus does not move to settings with dead letters only
  for (const { utteranceId } of state.live()) if (withTiles.has(corpusOf(utteranceId)) && !covered.has(utteranceId)) isWhole = false;
  const geometries = new Set([...withTiles].map((corpus) => featureSettingsOf(wanted, corpus).tile.join('x')));
  return { covered, geometries, isWhole };
}

function describe(state: CompactionState, settingsHash: string, since: string, settingsGraceMs: number): AbandonedSettings {
  const shards = shardsOf(state, settingsHash);
  return {
    settingsHash,
    shards: shards.length,
    sizeBytes: shards.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    since,
    until: new Date(Date.parse(since) + settingsGraceMs).toISOString(),
  };
}

async function readSince(store: Pick<Objects, 'findJson'>): Promise<Record<string, string>> {
  const parsed = z.record(z.string(), z.iso.datetime()).safeParse(await retrying(() => store.findJson(abandonedSettingsKey)));
  return parsed.success ? parsed.data : {};
}

/** Settings that are in use again lose their entry, so that they get the whole grace period if they are abandoned again. */
async function writeSince({ store, verify }: RetiringTools, since: Record<string, string>): Promise<void> {
  await verify();
  await retrying(() => store.put(abandonedSettingsKey, JSON.stringify(since), { contentType: 'application/json' }));
}

const shardsOf = (state: CompactionState, settingsHash: string): ShardSealed[] =>
  [...state.shards.values()].filter((shard) => shard.settingsHash === settingsHash);
