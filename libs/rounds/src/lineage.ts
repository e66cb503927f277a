/**
 * Where a model comes from, and where an utterance went: read from checkpoints and what they say their run has seen.
 *
 * Does not promise that a model remembers an utterance, only that it was given to its training. A round that was begun
 * counts as having seen all that it was given. Erasing an utterance does not erase that it was seen.
 */
import { runPrefix } from '#contracts/object-keys.js';
import type { Objects } from '#storage/object-store.js';
import { newestCheckpoints, type Checkpoint } from './checkpoint-store.js';
import { readSeenPart, type SeenPart, unfoldedParts, utteranceOf } from './seen.js';

export interface Lineage {
  checkpoint: Checkpoint;
  /** The models that it goes back to, the nearest first; those that are still kept whole. */
  parents: Checkpoint[];
  /** Utterance versions seen, by corpus. */
  byCorpus: Record<string, number>;
  /** By round and shard, `<utterance>@<version>`. */
  seen: { round: number; shards: Record<string, string[]> }[];
}

export interface SeenBy {
  runId: string;
  version: string;
  /** The round that learnt it first. */
  round: number;
  /** Steps of the finished models that have it behind them. */
  models: number[];
}

/** @throws PipelineError CHECKPOINT_INVALID where the listing of what was seen is damaged */
export async function lineageOf(store: Objects, checkpoint: Checkpoint): Promise<Lineage> {
  const parents = await parentsOf(store, checkpoint);
  const seen: Lineage['seen'] = [];
  const byCorpus: Record<string, number> = {};
  for (const part of await unfoldedParts(store, checkpoint.seen.parts)) {
    const { round, shards } = await readSeenPart(store, part);
    seen.push({ round, shards });
    for (const name of Object.values(shards).flat()) {
      const corpus = name.slice(0, name.indexOf('/'));
      byCorpus[corpus] = (byCorpus[corpus] ?? 0) + 1;
    }
  }
  return { checkpoint, parents, byCorpus, seen };
}

async function parentsOf(store: Objects, { runId, parent }: Checkpoint): Promise<Checkpoint[]> {
  const byStep = new Map<number, Checkpoint>();
  for await (const checkpoint of newestCheckpoints(store, runId, () => undefined)) byStep.set(checkpoint.step, checkpoint);
  const parents: Checkpoint[] = [];
  for (let next = parent; next; ) {
    const found = byStep.get(next.step);
    // Of the same step but other weights: not the one that was gone on from.
    if (found?.weights.sha256 !== next.sha256) break;
    parents.push(found);
    next = found.parent;
  }
  return parents;
}

/** Every run and version by which an utterance was seen. */
export async function modelsThatSaw(store: Objects, utteranceId: string): Promise<SeenBy[]> {
  const found: SeenBy[] = [];
  for (const runId of await runsOf(store)) {
    const lists = new Map<string, SeenPart[]>();
    const checkpoints: { complete: boolean; step: number; parts: SeenPart[] }[] = [];
    for await (const { complete, step, seen } of newestCheckpoints(store, runId, () => undefined))
      checkpoints.push({ complete, step, parts: await unfoldedParts(store, seen.parts, lists) });
    const parts = new Map<string, SeenPart>(checkpoints.flatMap((each) => each.parts.map((part): [string, SeenPart] => [part.key, part])));
    for (const part of [...parts.values()].sort((a, b) => a.round - b.round)) {
      const { shards } = await readSeenPart(store, part);
      const versions = Object.values(shards).flatMap((names) => names.map(utteranceOf).filter((each) => each.utteranceId === utteranceId));
      const models = checkpoints.filter((each) => each.complete && each.parts.some(({ key }) => key === part.key));
      for (const { version } of versions) {
        found.push({ runId, version, round: part.round, models: models.map(({ step }) => step).sort((a, b) => a - b) });
      }
    }
  }
  return found;
}

export async function runsOf(store: Objects): Promise<string[]> {
  const runs = new Set<string>();
  for await (const { key } of store.list('models/')) {
    const [, runId = ''] = key.split('/');
    if (key.startsWith(runPrefix(runId))) runs.add(runId);
  }
  return [...runs].sort();
}
