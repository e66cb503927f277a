/**
 * Traces a model back to its parents and training utterances, and an utterance to the models that trained on it. It reads
 * checkpoints and their lists of utterances seen.
 *
 * Does not promise that a model remembers an utterance, only that training got it. A round that began counts as having
 * seen all that it was given. Erasing an utterance does not erase the record that it was seen.
 */
import { corpusOf } from '#contracts/object-keys.js';
import type { Objects } from '#storage/object-store.js';
import { type Checkpoint, newestCheckpoints, runsOf } from './checkpoint-store.js';
import { readSeenPart, type SeenPart, unfoldedParts, utteranceOf } from './seen.js';

export interface Lineage {
  checkpoint: Checkpoint;
  /** The models that it descends from, the nearest first, as far as they are kept whole. */
  parents: Checkpoint[];
  /** Number of utterance versions seen, by corpus. */
  byCorpus: Record<string, number>;
  /** `<utterance>@<version>` by round and shard. */
  seen: { round: number; shards: Record<string, string[]> }[];
}

export interface SeenBy {
  runId: string;
  version: string;
  /** The first round that learnt it. */
  round: number;
  /** Steps of the finished models that learnt it. */
  models: number[];
}

/** @throws PipelineError CHECKPOINT_INVALID if a list of utterances seen is damaged */
export async function lineageOf(store: Objects, checkpoint: Checkpoint): Promise<Lineage> {
  const parents = await parentsOf(store, checkpoint);
  const seen: Lineage['seen'] = [];
  const byCorpus: Record<string, number> = {};
  for (const part of await unfoldedParts(store, checkpoint.seen.parts)) {
    const { round, shards } = await readSeenPart(store, part);
    seen.push({ round, shards });
    for (const name of Object.values(shards).flat()) {
      const corpus = corpusOf(name);
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
    // The same step with other weights is not the model that the round continued from.
    if (found?.weights.sha256 !== next.sha256) break;
    parents.push(found);
    next = found.parent;
  }
  return parents;
}

/** Every run that saw an utterance, and in which version. */
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
