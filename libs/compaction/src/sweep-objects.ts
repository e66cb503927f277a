/**
 * Deletes objects that are no longer needed: shards that nobody announces, and predictions that name an erased utterance.
 * Each waits for a grace period, which starts at the later of two times: when it was first seen unneeded, and its last
 * modification. A shard also waits for every reader whose view is older: a round, a job of an experiment, an export.
 *
 * Delivery: the first sighting is written down before anything is deleted, and each deletion may be repeated. If a features
 * instance pauses between storing a shard and announcing it, the object may be gone. The trainer then withdraws the
 * shard, and features makes it again.
 */
import { z } from 'zod';
import {
  bucketMarkerKey,
  bucketMarkerPrefix,
  parsePredictionsKey,
  parseShardKey,
  shardKey,
  unreferencedObjectsKey,
} from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { readPredictions, type PredictionRow } from '#evaluation/predictions-file.js';
import { deleteOwn } from '#storage/delete-own.js';
import type { ListedObject, Objects } from '#storage/object-store.js';
import { retrying } from '#streaming/retry.js';
import type { CompactionState } from './compaction-state.js';
import { roundStarts } from '#storage/lease.js';
import { heldSince } from './shard-holds.js';

export interface SweepTools {
  store: Objects;
  topicPrefix: string;
  state: CompactionState;
  sync: () => Promise<void>;
  /** @throws PipelineError LEASE_LOST */
  verify: () => Promise<void>;
  graceMs: number;
  /** True to write down and delete nothing. */
  dryRun: boolean;
  /** Started just before. It reads each prediction once, unless something was erased since. */
  scan: PredictionsScan;
  onProgress?: (looked: number) => void;
}

export interface SweptObjects {
  shardsDeleted: number;
  predictionsDeleted: number;
  bytesFreed: number;
  /** Objects that are not needed and not deleted yet. */
  waiting: number;
  /** The waiting objects whose grace period is over but which a reader may still read. */
  heldByReaders: number;
}

/** Predictions that need no new look unless something was erased since. */
export interface CleanPredictions {
  /** Partition of `utterances` to an offset. The predictions name no utterance that was erased before it. */
  upTo: Record<number, string>;
  keys: string[];
}

/** The predictions that name no erased utterance, for a number of erasures. */
export class PredictionsScan {
  private clean: Set<string>;
  private erasures = 0;
  private upTo: CleanPredictions['upTo'];

  /** @param before result of an earlier scan by any process; erasures count from its end on */
  constructor(before: CleanPredictions = { upTo: {}, keys: [] }) {
    this.clean = new Set(before.keys);
    this.upTo = before.upTo;
  }

  /** @param upTo current offsets of the reader of the erasures */
  startAt(erasures: number, upTo: CleanPredictions['upTo']): void {
    if (erasures !== this.erasures) this.clean = new Set();
    this.erasures = erasures;
    this.upTo = upTo;
  }

  get result(): CleanPredictions {
    return { upTo: this.upTo, keys: [...this.clean] };
  }

  isClean = (key: string): boolean => this.clean.has(key);
  passed = (key: string): void => void this.clean.add(key);
}

interface Useless extends ListedObject {
  sinceMs: number;
}

/** A trainer hears of a withdrawal a little later, and its clock may differ. */
const viewLagMs = 60_000;
const deletionsAtOnce = 100;

export async function sweepObjects(tools: SweepTools): Promise<SweptObjects> {
  const { store, graceMs, dryRun } = tools;
  const swept: SweptObjects = { shardsDeleted: 0, predictionsDeleted: 0, bytesFreed: 0, waiting: 0, heldByReaders: 0 };
  const shards = await unannouncedShards(tools);
  const predictions = await predictionsOfErased(tools);
  const seenBefore = await readSeen(store);
  const nowMs = Date.now();
  const useless = [...shards, ...predictions].map((object): Useless => {
    const seenMs = Date.parse(seenBefore[object.key] ?? new Date(nowMs).toISOString());
    return { ...object, sinceMs: Math.max(seenMs, object.modifiedAt.getTime()) };
  });
  if (!dryRun) await writeSeen(tools, useless, seenBefore);
  const due = useless.filter(({ sinceMs }) => nowMs - sinceMs >= graceMs || graceMs === 0);
  const readers = due.some(isShard)
    ? [...(await retrying(() => roundStarts(store))), ...(await retrying(() => heldSince(store, { dryRun })))]
    : [];
  const isRead = (object: Useless): boolean =>
    isShard(object) && readers.some((start) => start.getTime() <= object.sinceMs + Math.min(viewLagMs, graceMs));
  swept.heldByReaders = due.filter(isRead).length;
  const unread = due.filter((each) => !isRead(each));
  for (let at = 0; at < unread.length; at += deletionsAtOnce) {
    for (const object of await stillUseless(unread.slice(at, at + deletionsAtOnce), tools)) {
      if (!dryRun) await retrying(() => deleteOwn(store, object.key, isShard(object) ? 'shard' : 'predictions'));
      swept.bytesFreed += object.sizeBytes;
      if (isShard(object)) swept.shardsDeleted++;
      else swept.predictionsDeleted++;
    }
  }
  swept.waiting = useless.length - swept.shardsDeleted - swept.predictionsDeleted;
  return swept;
}

/**
 * @returns the reason why unneeded objects cannot be told in this bucket; null if they can
 * @throws PipelineError CONFIG_INVALID if the bucket was never used with these topics, because all objects would look unneeded
 */
export async function whyNotSwept(store: Objects, topicPrefix: string): Promise<string | null> {
  const markers = (await listed(store, bucketMarkerPrefix)).map(({ key }) => key);
  const own = bucketMarkerKey(topicPrefix);
  if (!markers.includes(own)) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `The bucket has never been used with topics ${topicPrefix}.*, so all its shards would count as unneeded. Correct S3_BUCKET or TOPIC_PREFIX.`,
    );
  }
  const other = markers.find((key) => key !== own);
  return other ? `${other} says that other topics use this bucket too, so compaction cannot tell their shards from unneeded ones` : null;
}

/** Lists the objects first, then reads all announcements up to now, so that shards announced by now are not among the result. */
async function unannouncedShards({ store, state, sync }: SweepTools): Promise<ListedObject[]> {
  const objects = await listed(store, 'shards/');
  await sync();
  const announced = announcedKeys(state);
  return objects.filter(({ key }) => parseShardKey(key) && !announced.has(key));
}

/** Finds predictions that were scored and name an erased utterance. Holds one file at a time. */
async function predictionsOfErased({ store, state, sync, scan, onProgress }: SweepTools): Promise<ListedObject[]> {
  const found: { object: ListedObject; erased: string[] }[] = [];
  let looked = 0;
  for (const object of await listed(store, 'predictions/')) {
    const place = parsePredictionsKey(object.key);
    if (!place?.digest || scan.isClean(object.key)) continue;
    const { runId, step, task } = place;
    onProgress?.(++looked);
    const rows = await predictionsIn(store, object.key);
    const erased = rows.flatMap(({ utteranceId }) => (state.versionOf(utteranceId) === undefined ? [utteranceId] : []));
    const isScored = [...new Set(rows.map(({ split }) => split))].every((split) => state.isEvaluated({ runId, step, task, split }));
    if (erased.length === 0) scan.passed(object.key);
    else if (isScored) found.push({ object, erased });
  }
  // They may name recordings that arrived after the state was read.
  if (found.length > 0) await sync();
  return found.filter(({ erased }) => erased.some((id) => state.versionOf(id) === undefined)).map(({ object }) => object);
}

/** @returns no rows for a file that nobody can read, because it names nobody */
async function predictionsIn(store: Objects, key: string): Promise<PredictionRow[]> {
  try {
    const file = await retrying(() => store.find(key));
    return file ? readPredictions(file.bytes) : [];
  } catch (error) {
    if (error instanceof PipelineError && error.code !== 'OBJECT_CHECKSUM_MISMATCH') throw error;
    return [];
  }
}

/** Checks again, because a shard may have been announced since. */
async function stillUseless(objects: readonly Useless[], { state, sync, verify }: SweepTools): Promise<Useless[]> {
  await verify();
  await sync();
  const announced = announcedKeys(state);
  return objects.filter(({ key }) => !announced.has(key));
}

async function readSeen(store: Objects): Promise<Record<string, string>> {
  const parsed = z.record(z.string(), z.iso.datetime()).safeParse(await retrying(() => store.findJson(unreferencedObjectsKey)));
  return parsed.success ? parsed.data : {};
}

/** Objects that are needed again lose their entry, so that they get the whole grace period next time. */
async function writeSeen({ store, verify }: SweepTools, useless: readonly Useless[], before: Record<string, string>): Promise<void> {
  const seen = Object.fromEntries(useless.map(({ key, sinceMs }) => [key, before[key] ?? new Date(sinceMs).toISOString()]));
  const isSame = Object.keys(seen).length === Object.keys(before).length && Object.keys(seen).every((key) => key in before);
  if (isSame) return;
  await verify();
  await retrying(() => store.put(unreferencedObjectsKey, JSON.stringify(seen), { contentType: 'application/json' }));
}

async function listed(store: Objects, prefix: string): Promise<ListedObject[]> {
  return retrying(async () => {
    const objects: ListedObject[] = [];
    for await (const object of store.list(prefix)) objects.push(object);
    return objects;
  });
}

const isShard = ({ key }: { key: string }): boolean => parseShardKey(key) !== null;
/** Keys follow from the ids: a record's own key counts for nothing. */
const announcedKeys = (state: CompactionState): Set<string> =>
  new Set([...state.shards.values()].map(({ settingsHash, shardId }) => shardKey(settingsHash, shardId)));
