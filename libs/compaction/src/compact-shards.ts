/**
 * Carries out a compaction plan: it stores the new shards, announces them, and only then withdraws the old ones. It copies
 * pixels and labels of a row unchanged. Rows are sorted by utterance, so that the same utterances give the same bytes and
 * the same name, whatever shards they come from.
 *
 * Delivery: after a kill between any two steps, the next run ends in the same state. A shard that was announced but whose
 * sources were not withdrawn is a duplicate, which the next plan drops unread. A shard is withdrawn only if, by the facts
 * read just before, every current utterance in it is announced elsewhere. If a fact arrives at that very moment, a hint
 * about the recording makes its tiles again.
 */
import { canonicalJson, type FeatureSettings } from '#audio/feature-settings.js';
import { release } from '#audio/growing-samples.js';
import { writeShard, type ShardFile, type ShardRow } from '#audio/shard/shard-file.js';
import { corporaPrefix, parseShardKey, shardKey } from '#contracts/object-keys.js';
import { hintAt, objectHints } from '#contracts/object-hints.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { shardTopicOf, type ShardSealed } from '#contracts/shards.js';
import type { SilenceProfile } from '#contracts/labels.js';
import { sha256Hex, type Objects } from '#storage/object-store.js';
import type { Publisher } from '#streaming/publisher.js';
import { retrying } from '#streaming/retry.js';
import { openAnnounced } from '#index/announced-shard.js';
import type { CompactionState } from './compaction-state.js';
import type { CompactionPlan, PlannedPart, PlannedShard } from './plan-compaction.js';

export interface CompactionTools {
  store: Pick<Objects, 'find' | 'put'>;
  publisher: Pick<Publisher, 'publish' | 'tombstone'>;
  state: CompactionState;
  /** Waits until the state has everything that is in the topics now. */
  sync: () => Promise<void>;
  /** @throws PipelineError LEASE_LOST */
  verify: () => Promise<void>;
  onProgress?: (done: number, of: number) => void;
}

export interface CompactedShards {
  written: number;
  writtenBytes: number;
  withdrawn: number;
  withdrawnBytes: number;
  /** Ids of shards whose objects are gone, or do not have the sha256 in their name. The trainer withdraws those. */
  unreadable: string[];
}

/** Number of outputs after which their sources are withdrawn, so that little is stored twice. */
const outputsAtOnce = 32;
const withdrawalsAtOnce = 500;

export async function compactShards(plan: CompactionPlan, tools: CompactionTools): Promise<CompactedShards> {
  const result: CompactedShards = { written: 0, writtenBytes: 0, withdrawn: 0, withdrawnBytes: 0, unreadable: [] };
  /** Shards announced by this call. A plan may produce a shard again that it also found superfluous or took rows from. */
  const made = new Set<string>();
  const unfinished = countOutputs(plan);
  const sources = new Set(plan.withdrawn.filter(({ shardId }) => unfinished.has(shardId)));
  const superfluous = plan.withdrawn.filter((shard) => !sources.has(shard));
  const withdrawAll = async (shards: ShardSealed[]): Promise<void> => {
    const withdrawn = await withdraw(
      shards.filter(({ shardId }) => !made.has(shardId)),
      tools,
    );
    result.withdrawn += withdrawn.length;
    result.withdrawnBytes += withdrawn.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  };
  const withdrawFinished = async (): Promise<void> => {
    const finished = [...sources].filter(({ shardId }) => unfinished.get(shardId) === 0);
    for (const shard of finished) sources.delete(shard);
    await withdrawAll(finished);
  };
  for (const [index, output] of plan.outputs.entries()) {
    tools.onProgress?.(index, plan.outputs.length);
    const built = await build(output, tools.store);
    if ('unreadable' in built) result.unreadable.push(built.unreadable);
    else {
      await announce(built, tools);
      made.add(built.fact.shardId);
      result.written++;
      result.writtenBytes += built.fact.sizeBytes;
      for (const shardId of sourcesOf(output)) unfinished.set(shardId, (unfinished.get(shardId) ?? 0) - 1);
    }
    if ((index + 1) % outputsAtOnce === 0) await withdrawFinished();
  }
  await withdrawFinished();
  await withdrawAll(superfluous);
  tools.onProgress?.(plan.outputs.length, plan.outputs.length);
  return result;
}

const sourcesOf = ({ parts }: PlannedShard): Set<string> => new Set(parts.map(({ shard }) => shard.shardId));

/** For each source, the number of outputs that take rows from it. */
function countOutputs(plan: CompactionPlan): Map<string, number> {
  const counts = new Map<string, number>();
  for (const output of plan.outputs) for (const shardId of sourcesOf(output)) counts.set(shardId, (counts.get(shardId) ?? 0) + 1);
  return counts;
}

interface Built {
  bytes: Uint8Array;
  fact: ShardSealed;
}

/** Holds one source at a time, beside the rows taken so far. @returns the id of the first source that cannot be read */
async function build(output: PlannedShard, store: CompactionTools['store']): Promise<Built | { unreadable: string }> {
  const taken: { utterance: PlannedPart['utterances'][number]; rows: ShardRow[] }[] = [];
  let settings: FeatureSettings | undefined;
  const profiles = new Set<SilenceProfile | null>();
  for (const part of output.parts) {
    const source = await open(part, store);
    if (!source || (settings && canonicalJson(settings) !== canonicalJson(source.file.settings))) return { unreadable: part.shard.shardId };
    settings = source.file.settings;
    profiles.add(source.file.silence);
    for (const utterance of part.utterances) taken.push({ utterance, rows: rowsOf(source.file, utterance) });
    // Only if the bytes are the whole buffer: the store may have given a part of a larger one.
    if (source.bytes.byteLength === source.bytes.buffer.byteLength) release(source.bytes);
  }
  taken.sort((a, b) => (a.utterance.utteranceId < b.utterance.utteranceId ? -1 : 1));
  const [silence = null] = profiles.size === 1 ? profiles : [];
  const rows = taken.flatMap((each) => each.rows);
  const bytes = writeShard(rows, settings as FeatureSettings, { silence });
  for (const { tile } of rows) release(tile);
  return { bytes, fact: factOf(output, bytes, taken) };
}

function factOf(output: PlannedShard, bytes: Uint8Array, taken: { utterance: PlannedPart['utterances'][number] }[]): ShardSealed {
  const shardId = sha256Hex(bytes);
  let firstRow = 0;
  const utterances = taken.map(({ utterance }) => {
    const place = firstRow;
    firstRow += utterance.tileCount;
    return { ...utterance, firstRow: place };
  });
  return {
    shardId,
    stream: output.stream,
    objectKey: shardKey(output.settingsHash, shardId),
    sizeBytes: bytes.byteLength,
    settingsHash: output.settingsHash,
    tileCount: output.tileCount,
    utterances,
    tile: output.parts[0]?.shard.tile,
    // A merged shard is as old as its oldest source, because the first sealing time of feature settings decides which are later.
    sealedAt: output.parts.map(({ shard }) => shard.sealedAt).reduce((oldest, each) => (each < oldest ? each : oldest)),
  };
}

async function open(part: PlannedPart, store: CompactionTools['store']): Promise<{ bytes: Uint8Array; file: ShardFile } | null> {
  const { shard, utterances } = part;
  try {
    const key = shardKey(shard.settingsHash, shard.shardId);
    if (!parseShardKey(key)) return null;
    const found = await retrying(() => store.find(key));
    const file = found && openAnnounced(found.bytes, shard.shardId, utterances);
    return file && { bytes: found.bytes, file };
  } catch (error) {
    if (error instanceof PipelineError && error.code === 'OBJECT_CHECKSUM_MISMATCH') return null;
    throw error;
  }
}

/** Copies the rows, because the source is released. */
function rowsOf(file: ShardFile, { firstRow, tileCount }: PlannedPart['utterances'][number]): ShardRow[] {
  return Array.from({ length: tileCount }, (_, index) => {
    const row = firstRow + index;
    return {
      tile: file.tileAt(row).slice(),
      utteranceId: file.utteranceIdAt(row),
      version: file.versionAt(row),
      tileIndex: file.tileIndexAt(row),
      corpus: file.corpusAt(row),
      speaker: file.speakerAt(row),
      gender: file.genderAt(row),
      category: file.categoryAt(row),
      activation: file.activationAt(row),
      valence: file.valenceAt(row),
      levelEdges: file.levelEdgesAt(row),
      time: file.timeAt(row),
    };
  });
}

/** Stores the shard even if it exists: the existing object may be damaged, and a new one is too young to be swept. */
async function announce({ bytes, fact }: Built, { store, publisher, verify }: CompactionTools): Promise<void> {
  await verify();
  await retrying(() => store.put(fact.objectKey, bytes, { contentType: 'application/vnd.apache.arrow.file' }));
  release(bytes);
  await retrying(() => publisher.publish(shardTopicOf(fact.stream), fact));
}

/** @returns the shards that were withdrawn; the others are needed again */
async function withdraw(shards: readonly ShardSealed[], tools: CompactionTools): Promise<ShardSealed[]> {
  const { state, publisher, sync, verify } = tools;
  const withdrawn: ShardSealed[] = [];
  for (let at = 0; at < shards.length; at += withdrawalsAtOnce) {
    const group = shards.slice(at, at + withdrawalsAtOnce);
    await sync();
    const needed = new Set(state.heldOnlyBy(group, new Set(group.map(({ shardId }) => shardId))).map(({ shardId }) => shardId));
    const superfluous = group.filter(({ shardId }) => state.shards.has(shardId) && !needed.has(shardId));
    await verify();
    for (const { stream, shardId } of superfluous) await retrying(() => publisher.tombstone(shardTopicOf(stream), shardId));
    withdrawn.push(...superfluous);
  }
  if (withdrawn.length > 0) await healWithdrawn(withdrawn, tools);
  return withdrawn;
}

/** Sends hints about utterances that went back to an old version just before its shard was withdrawn. */
async function healWithdrawn(withdrawn: readonly ShardSealed[], { state, publisher, sync }: CompactionTools): Promise<void> {
  await sync();
  const lost = new Set(state.heldOnlyBy(withdrawn, new Set()).map(({ utteranceId }) => utteranceId));
  const hints = [...lost].map((utteranceId) => hintAt(`${corporaPrefix}${utteranceId}`, 'changed-underfoot', true));
  if (hints.length > 0) await retrying(() => publisher.publish(objectHints, ...hints));
}
