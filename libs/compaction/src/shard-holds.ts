/**
 * Readers hold shards with a note in the bucket, `state/holds/<id>.json`, which says since when the reader has its view.
 * Compaction continues, but deletes no shard that was withdrawn after that time. Rounds use their run's lease instead (lease.ts).
 *
 * Delivery: a note expires if nobody renews it, so a killed reader does not hold shards for ever. A reader that pauses
 * for longer than its note lasts may find its shards gone.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { holdKey, holdsPrefix, parseHoldKey } from '#contracts/object-keys.js';
import { deleteOwn } from '#storage/delete-own.js';
import { type Objects, sha256Hex } from '#storage/object-store.js';
import { retrying } from '#streaming/retry.js';

const holdSchema = z.object({ reader: z.string(), since: z.iso.datetime(), expiresAt: z.iso.datetime() });

export interface ShardHold {
  id: string;
  /** Description in words, for people who look into the bucket. */
  reader: string;
  /** A time before the view was read. Shards that were withdrawn earlier are not in the view. */
  since: Date;
}

type HoldStore = Pick<Objects, 'find' | 'put' | 'delete' | 'list'>;

/** Interval at which a command that reads the bucket renews its note, and the time after which it counts as ended. */
const renewalMs = 60_000;
const commandHoldMs = 10 * 60_000;
/** Jobs of an experiment wait for trainers, which may be off for a weekend. */
export const experimentHoldMs = 3 * 24 * 60 * 60_000;

export const experimentHoldId = (experiment: string): string => `experiment-${sha256Hex(experiment).slice(0, 16)}`;

/** Writes or renews a note. An earlier `since` of the same reader stays if its note has not expired. */
export async function holdShards(store: HoldStore, { id, reader, since }: ShardHold, forMs: number): Promise<void> {
  const known = parseHold((await store.find(holdKey(id)))?.bytes);
  const start = known && known.expiresAtMs > Date.now() ? Math.min(known.sinceMs, since.getTime()) : since.getTime();
  const note = { reader, since: new Date(start).toISOString(), expiresAt: new Date(Date.now() + forMs).toISOString() };
  await store.put(holdKey(id), JSON.stringify(note), { contentType: 'application/json' });
}

export const releaseShards = (store: HoldStore, id: string): Promise<void> => deleteOwn(store, holdKey(id), 'hold');

/**
 * Holds the shards of a view while `work` runs.
 * @param work gets the time from which shards are held, and reads its view after that
 */
export async function whileHolding<Result>(store: HoldStore, reader: string, work: (since: Date) => Promise<Result>): Promise<Result> {
  const hold = { id: `command-${randomUUID()}`, reader, since: new Date() };
  await retrying(() => holdShards(store, hold, commandHoldMs));
  const renewal = setInterval(() => void holdShards(store, hold, commandHoldMs).catch(() => undefined), renewalMs);
  try {
    return await work(hold.since);
  } finally {
    clearInterval(renewal);
    // If the store is away, the note expires by itself.
    await releaseShards(store, hold.id).catch(() => undefined);
  }
}

/** @returns for each live reader, the time from which it has its view. Deletes expired notes, unless in a dry run. */
export async function heldSince(store: HoldStore, { dryRun = false } = {}): Promise<Date[]> {
  const starts: Date[] = [];
  for await (const { key } of store.list(holdsPrefix)) {
    const hold = parseHoldKey(key) === null ? null : parseHold((await store.find(key))?.bytes);
    if (!hold) continue;
    if (hold.expiresAtMs > Date.now()) starts.push(new Date(hold.sinceMs));
    else if (!dryRun) await deleteOwn(store, key, 'hold');
  }
  return starts;
}

/** @returns null for bytes that are not a note */
function parseHold(bytes: Uint8Array | undefined): { sinceMs: number; expiresAtMs: number } | null {
  const parsed = holdSchema.safeParse(jsonOf(bytes));
  return parsed.success ? { sinceMs: Date.parse(parsed.data.since), expiresAtMs: Date.parse(parsed.data.expiresAt) } : null;
}

function jsonOf(bytes: Uint8Array | undefined): unknown {
  try {
    return bytes && JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
