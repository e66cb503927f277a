/**
 * Checkpoints in the object store: `models/<run>/<step>/` with weights, the view that was trained on, and the manifest.
 *
 * Delivery: the manifest is written last, so a checkpoint without one was never there; the newest whole one is where a
 * run goes on. Writing one twice writes the same again.
 */
import { z } from 'zod';
import { checkpointPrefix, runPrefix } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { predictionsWrittenSchema } from '#contracts/predictions.js';
import { stepLossesSchema } from '#contracts/training.js';
import { sha256Hex, type ObjectStore } from '#storage/object-store.js';
import type { TrainingView } from './training-index.js';

const place = z.object({ pass: z.number().int(), position: z.number().int() });

const checkpointSchema = z.object({
  format: z.literal(1),
  runId: z.string(),
  round: z.number().int().positive(),
  step: z.number().int().nonnegative(),
  /** The step at which the round began, and how many it has. */
  roundStartStep: z.number().int().nonnegative(),
  roundSteps: z.number().int().positive(),
  /** Whether the round is finished, and its predictions written. */
  complete: z.boolean(),
  epoch: z.number().int().positive(),
  model: z.record(z.string(), z.unknown()),
  weights: z.object({ key: z.string(), sha256: z.string(), sizeBytes: z.number().int() }),
  sampler: z.object({ labelled: place, unlabelled: place }),
  /** Class names of the speaker head, in order. */
  speakers: z.array(z.string()),
  view: z.object({
    digest: z.string(),
    key: z.string(),
    utterances: z.number().int(),
    tiles: z.object({ labelled: z.number().int(), unlabelled: z.number().int() }),
  }),
  /** Feature settings of the tiles, needed to make tiles of new audio. */
  settingsHash: z.string(),
  configHash: z.string(),
  codeVersion: z.string(),
  losses: stepLossesSchema.nullable(),
  predictions: z.array(predictionsWrittenSchema),
  savedAt: z.iso.datetime(),
});
export type Checkpoint = z.infer<typeof checkpointSchema>;
export type CheckpointDraft = Omit<Checkpoint, 'format' | 'weights' | 'savedAt'>;

/** What a checkpoint's round was given, and what its run has trained on since its beginning. */
interface SavedView {
  digest: string;
  utterances: { utteranceId: string; version: string; shardId: string }[];
  /** Utterance ids. */
  heard: string[];
}

export const manifestKey = (runId: string, step: number): string => `${checkpointPrefix(runId, step)}manifest.json`;
export const viewKey = (runId: string, step: number): string => `${checkpointPrefix(runId, step)}view.json`;

/** @param beforeManifest called when all but the manifest is written; if it throws, there is no checkpoint */
export async function saveCheckpoint(
  store: ObjectStore,
  draft: CheckpointDraft,
  content: { weights: Uint8Array; view: TrainingView; heard: ReadonlySet<string>; beforeManifest: () => Promise<void> },
): Promise<Checkpoint> {
  const key = `${checkpointPrefix(draft.runId, draft.step)}weights.bin`;
  const checkpoint: Checkpoint = {
    format: 1,
    ...draft,
    weights: { key, sha256: sha256Hex(content.weights), sizeBytes: content.weights.byteLength },
    savedAt: new Date().toISOString(),
  };
  await store.put(key, content.weights);
  const seen = content.view.utterances.map(({ utteranceId, version, shardId }) => ({ utteranceId, version, shardId }));
  await store.put(
    draft.view.key,
    JSON.stringify({ digest: content.view.digest, utterances: seen, heard: [...content.heard] } satisfies SavedView),
    { contentType: 'application/json' },
  );
  await content.beforeManifest();
  await store.put(manifestKey(draft.runId, draft.step), JSON.stringify(checkpoint), { contentType: 'application/json' });
  return checkpoint;
}

/** @returns the newest checkpoint of a run, or of any run if none is named; null if there is none */
export async function findNewestCheckpoint(store: ObjectStore, runId?: string, onlyComplete = false): Promise<Checkpoint | null> {
  const keys: string[] = [];
  for await (const { key } of store.list(runId === undefined ? 'models/' : runPrefix(runId)))
    if (key.endsWith('/manifest.json')) keys.push(key);
  const found: Checkpoint[] = [];
  // Steps are padded, so that the last key of a run is its newest checkpoint.
  for (const key of keys.sort().reverse()) {
    const checkpoint = parseCheckpoint(key, await store.findJson(key));
    if (!onlyComplete || checkpoint.complete) {
      found.push(checkpoint);
      if (runId !== undefined) break;
    }
  }
  return found.sort((a, b) => (a.savedAt < b.savedAt ? 1 : -1))[0] ?? null;
}

/** @throws PipelineError CHECKPOINT_INVALID if the bytes are not those that were saved */
export async function readWeights(store: ObjectStore, checkpoint: Checkpoint): Promise<Uint8Array> {
  const { bytes } = await store.get(checkpoint.weights.key);
  if (sha256Hex(bytes) !== checkpoint.weights.sha256)
    throw new PipelineError('CHECKPOINT_INVALID', `${checkpoint.weights.key} is not what its manifest says`);
  return bytes;
}

/** @returns ids of all utterances that the run had trained on */
export async function readHeard(store: ObjectStore, checkpoint: Checkpoint): Promise<Set<string>> {
  const view = (await store.findJson(checkpoint.view.key)) as SavedView | null;
  if (!view) throw new PipelineError('CHECKPOINT_INVALID', `${checkpoint.view.key} is missing`);
  return new Set(view.heard);
}

function parseCheckpoint(key: string, json: unknown): Checkpoint {
  const parsed = checkpointSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new PipelineError('CHECKPOINT_INVALID', `${key}: ${parsed.error.issues[0]?.path.join('.')} ${parsed.error.issues[0]?.message}`);
}
