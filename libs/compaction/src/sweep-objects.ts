/**
 * Deletes objects that are of no use any more: shards that nobody announces, and predictions that name an erased
 * utterance. Each waits for a grace period, counted from when it was first seen so or from its last modification,
 * whichever is later; and a shard for the end of every reader that had its view before: a round, a job of an experiment, an export.
 *
 * Delivery: what was seen is written down before anything is deleted, and each deletion may be repeated. A features
 * instance that was held up between putting a shard and announcing it may find the object deleted: the trainer then
 * withdraws the shard, and it is made again.
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
  /** Nothing is written down or deleted. */
  dryRun: boolean;
  /** Started just before: predictions are read once, unless something was erased since. */
  scan: PredictionsScan;
  onProgress?: (looked: number) => void;
}

export interface SweptObjects {
  shardsDeleted: number;
  predictionsDeleted: number;
  bytesFreed: number;
  /** Seen to be of no use, and not deleted yet. */
  waiting: number;
  /** Of these, those whose grace is over and that a reader may still read. */
  heldByReaders: number;
}

/** Predictions that need not be looked at again unless something was erased since. */
export interface CleanPredictions {
  /** Partition of `utterances` to the offset before which nothing erased is named in them. */
  upTo: Record<number, string>;
  keys: string[];
}

/** Which predictions name no erased utterance, as of so many erasures. */
export class PredictionsScan {
  private clean: Set<string>;
  private erasures = 0;
  private upTo: CleanPredictions['upTo'];

  /** @param before of an earlier scan, by whatever process; erasures are counted from its end on */
  constructor(before: CleanPredictions = { upTo: {}, keys: [] }) {
    this.clean = new Set(before.keys);
    this.upTo = before.upTo;
  }

  /** @param upTo where the reader of the erasures stands just now */
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

/** A trainer hears of a withdrawal a little later, and its clock is another. */
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
 * @returns why nothing can be told superfluous in this bucket; null where it can
 * @throws PipelineError CONFIG_INVALID if the bucket was never used with these topics: all of it would look superfluous
 */
export async function whyNotSwept(store: Objects, topicPrefix: string): Promise<string | null> {
  const markers = (await listed(store, bucketMarkerPrefix)).map(({ key }) => key);
  const own = bucketMarkerKey(topicPrefix);
  if (!markers.includes(own)) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `The bucket has never been used with topics ${topicPrefix}.*: all its shards would count as superfluous. Set S3_BUCKET or TOPIC_PREFIX right.`,
    );
  }
  const other = markers.find((key) => key !== own);
  return other ? `${other} says that other topics use this bucket too; their shards cannot be told from superfluous ones` : null;
}

/** A listing first, then all announcements up to now: what was put before and announced by now is not among them. */
async function unannouncedShards({ store, state, sync }: SweepTools): Promise<ListedObject[]> {
  const objects = await listed(store, 'shards/');
  await sync();
  const announced = announcedKeys(state);
  return objects.filter(({ key }) => parseShardKey(key) && !announced.has(key));
}

/** Of predictions that were scored; one file is held at a time. */
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
  // They may name recordings that came after the state was read.
  if (found.length > 0) await sync();
  return found.filter(({ erased }) => erased.some((id) => state.versionOf(id) === undefined)).map(({ object }) => object);
}

/** What nobody can read, nobody can be named in. */
async function predictionsIn(store: Objects, key: string): Promise<PredictionRow[]> {
  try {
    const file = await retrying(() => store.find(key));
    return file ? readPredictions(file.bytes) : [];
  } catch (error) {
    if (error instanceof PipelineError && error.code !== 'OBJECT_CHECKSUM_MISMATCH') throw error;
    return [];
  }
}

/** A shard may have been announced since, again. */
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

/** What is of use again is forgotten, so that it gets its whole grace the next time. */
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
/** Derived from ids: a record's word for a key counts for nothing. */
const announcedKeys = (state: CompactionState): Set<string> =>
  new Set([...state.shards.values()].map(({ settingsHash, shardId }) => shardKey(settingsHash, shardId)));
