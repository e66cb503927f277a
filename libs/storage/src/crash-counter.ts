/** Counts, durably, how often a record has crashed its stage, so that the third time it is put aside. */
import { crashCountKey } from '#contracts/object-keys.js';
import type { ObjectStore } from './object-store.js';

export interface CrashedRecord {
  topic: string;
  partition: number;
  offset: string;
}

/** @returns the number of crashes on this record, with this one */
export async function countCrash(store: ObjectStore, groupId: string, record: CrashedRecord): Promise<number> {
  const key = crashCountKey(groupId, record.topic, record.partition, record.offset);
  const before = (await store.findJson(key)) as { crashes: number } | null;
  const crashes = (before?.crashes ?? 0) + 1;
  await store.put(key, JSON.stringify({ crashes, at: new Date().toISOString() }));
  return crashes;
}
