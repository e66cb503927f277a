/**
 * Checkpoints in the object store. `models/<run>/<step>/` holds weights and manifest. `models/<run>/views/<digest>.json.gz`
 * holds the view of a round, one for all checkpoints of the round.
 *
 * Delivery: the manifest is written last, so a checkpoint without a manifest does not exist. A run continues from its newest
 * whole checkpoint. Writing a checkpoint twice writes the same objects again.
 */
import { z } from 'zod';
import { emotionTargets, type EmotionTarget } from '#contracts/labels.js';
import { checkpointPrefix, manifestKey, runPrefix } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { predictionsWrittenSchema } from '#contracts/predictions.js';
import { stepLossesSchema } from '#contracts/training.js';
import { findGzipJson, putGzipJson } from '#storage/gzip-json.js';
import { sha256Hex, type Objects } from '#storage/object-store.js';
import { isOutage } from '#streaming/retry.js';
import { seenPartSchema } from './seen.js';
import type { TrainingView } from '#index/training-index.js';

export { manifestKey };

const pool = z.object({ pass: z.number().int(), position: z.number().int() });
const place = z.object({ fresh: pool, replayed: pool, drawn: z.number().int() });

const checkpointSchema = z.object({
  format: z.literal(2),
  runId: z.string(),
  round: z.number().int().positive(),
  step: z.number().int().nonnegative(),
  /** The step at which the round began, and its number of steps. */
  roundStartStep: z.number().int().nonnegative(),
  roundSteps: z.number().int().positive(),
  /** True if the round is finished and its predictions are written. */
  complete: z.boolean(),
  epoch: z.number().int().positive(),
  model: z.record(z.string(), z.unknown()),
  weights: z.object({ key: z.string(), sha256: z.string(), sizeBytes: z.number().int() }),
  /** The best check of the round on dev speakers; null if the round was not checked. */
  best: z.object({ step: z.number().int(), ua: z.number(), since: z.number().int() }).nullable(),
  /** The step whose weights these are. For a finished round, the step of its best check. */
  weightsStep: z.number().int().nonnegative(),
  /** Dev speakers that picked a checkpoint of the run; absent if none did, and in checkpoints of old releases. */
  pickedBy: z.array(z.string()).optional(),
  /** Factor on the settings' learning rate that remains after divergences; absent for 1. */
  rateScale: z.number().positive().optional(),
  /** The model that the round continued from. */
  parent: z.object({ step: z.number().int(), sha256: z.string() }).nullable(),
  sampler: z.object({ labelled: place, unlabelled: place }),
  /** Class names of the speaker head, in order. */
  speakers: z.array(z.string()),
  /** Midpoints of the emotion head's clusters, in order; null if the head has another target. */
  midpoints: z
    .array(z.object({ activation: z.number(), valence: z.number() }))
    .nullable()
    .default(null),
  view: z.object({
    digest: z.string(),
    key: z.string(),
    utterances: z.number().int(),
    tiles: z.object({ labelled: z.number().int(), unlabelled: z.number().int() }),
    /** Ingestion time of the newest utterance that training could use; absent if unknown. */
    newestAt: z.iso.datetime().optional(),
  }),
  /** Everything that the run has trained on so far. */
  seen: z.object({ digest: z.string(), versions: z.number().int(), parts: z.array(seenPartSchema) }),
  /** Utterances of the view that were erased or replaced during the round. If there are any, no other round repeats it exactly. */
  erasedInRound: z.number().int(),
  /** Hash of the feature settings of the tiles, needed to make tiles of new audio. */
  settingsHash: z.string(),
  /** Feature settings of each corpus in the view; absent in checkpoints of old releases. */
  settings: z.record(z.string(), z.string()).optional(),
  configHash: z.string(),
  /** The run's configuration, without the model's settings. */
  config: z.record(z.string(), z.unknown()),
  codeVersion: z.string(),
  losses: stepLossesSchema.nullable(),
  predictions: z.array(predictionsWrittenSchema),
  savedAt: z.iso.datetime(),
});
export type Checkpoint = z.infer<typeof checkpointSchema>;
export type CheckpointDraft = Omit<Checkpoint, 'format' | 'weights' | 'savedAt'>;

/** The view of a checkpoint's round. */
interface SavedView {
  digest: string;
  utterances: { utteranceId: string; version: string; shardId: string }[];
}

export const viewKey = (runId: string, digest: string): string => `${runPrefix(runId)}views/${digest}.json.gz`;

/** @param beforeManifest called when everything but the manifest is written; if it throws, the checkpoint does not exist */
export async function saveCheckpoint(
  store: Objects,
  draft: CheckpointDraft,
  content: { weights: Uint8Array; view: TrainingView; beforeManifest: () => Promise<void> },
): Promise<Checkpoint> {
  const sha256 = sha256Hex(content.weights);
  // The key holds the digest, so a superseded trainer that wakes up late cannot change weights that a newer one announced.
  const key = `${checkpointPrefix(draft.runId, draft.step)}weights-${sha256.slice(0, 16)}.safetensors`;
  const checkpoint: Checkpoint = {
    format: 2,
    ...draft,
    weights: { key, sha256, sizeBytes: content.weights.byteLength },
    savedAt: new Date().toISOString(),
  };
  await store.put(key, content.weights);
  await saveView(store, draft.view.key, content.view);
  await content.beforeManifest();
  await store.put(manifestKey(draft.runId, draft.step), JSON.stringify(checkpoint), { contentType: 'application/json' });
  return checkpoint;
}

/** Written once for each view: the checkpoints of a round share it. */
async function saveView(store: Objects, key: string, view: TrainingView): Promise<void> {
  if (await store.head(key)) return;
  const utterances = view.utterances.map(({ utteranceId, version, shardId }) => ({ utteranceId, version, shardId }));
  const json = JSON.stringify({ digest: view.digest, utterances } satisfies SavedView);
  await putGzipJson(store, key, json);
}

/** @returns the utterance versions in the view of a checkpoint's round @throws PipelineError CHECKPOINT_INVALID */
export async function readView(store: Objects, { view }: Checkpoint): Promise<SavedView> {
  const json = await findGzipJson(store, view.key);
  if (json === null)
    throw new PipelineError('CHECKPOINT_INVALID', `The object ${view.key} is missing. The checkpoint needs it to name its utterances.`);
  return JSON.parse(json) as SavedView;
}

/**
 * The checkpoints of a run, the newest first.
 * @param onRefused called for a manifest that cannot be read
 */
export async function* newestCheckpoints(store: Objects, runId: string, onRefused: (why: string) => void): AsyncGenerator<Checkpoint> {
  // Steps are padded, so the last key of a run is its newest checkpoint.
  for (const key of (await manifestKeys(store, runPrefix(runId))).sort().reverse()) {
    try {
      yield parseCheckpoint(key, await store.findJson(key));
    } catch (error) {
      if (!(error instanceof PipelineError) || isOutage(error)) throw error;
      onRefused(error.message);
    }
  }
}

/** @returns the most recently saved checkpoint among the finished rounds of all runs; null if there is none */
export async function findNewestModel(store: Objects): Promise<Checkpoint | null> {
  let newest: Checkpoint | null = null;
  for (const runId of await runsOf(store)) {
    for await (const checkpoint of newestCheckpoints(store, runId, () => undefined)) {
      if (!checkpoint.complete) continue;
      if (!newest || checkpoint.savedAt > newest.savedAt) newest = checkpoint;
      break;
    }
  }
  return newest;
}

/** @returns null if the checkpoint does not exist or is not whole. @throws PipelineError CHECKPOINT_INVALID */
export async function findCheckpoint(store: Pick<Objects, 'findJson'>, runId: string, step: number): Promise<Checkpoint | null> {
  const key = manifestKey(runId, step);
  const json = await store.findJson(key);
  return json === null ? null : parseCheckpoint(key, json);
}

/** The target of its emotion head. @throws PipelineError CHECKPOINT_INVALID for an unknown target */
export function targetOf({ runId, step, model }: Checkpoint): EmotionTarget {
  const { target = 'emotion' } = (model['settings'] ?? {}) as { target?: unknown };
  const found = emotionTargets.find((each) => each === target);
  if (!found)
    throw new PipelineError('CHECKPOINT_INVALID', `${manifestKey(runId, step)}: its target must be one of ${emotionTargets.join(', ')}`);
  return found;
}

/** All finished rounds of all runs, oldest first. @param onRefused called for a manifest that cannot be read */
export async function finishedModels(store: Objects, onRefused: (why: string) => void): Promise<Checkpoint[]> {
  const found: Checkpoint[] = [];
  for (const runId of await runsOf(store)) {
    for await (const checkpoint of newestCheckpoints(store, runId, onRefused)) if (checkpoint.complete) found.push(checkpoint);
  }
  return found.sort((a, b) => (a.savedAt < b.savedAt ? -1 : 1));
}

/** Every run that has left something in the bucket, also one without a checkpoint. */
export async function runsOf(store: Pick<Objects, 'list'>): Promise<string[]> {
  const runs = new Set<string>();
  for await (const { key } of store.list('models/')) {
    const [, runId = ''] = key.split('/');
    if (key.startsWith(runPrefix(runId))) runs.add(runId);
  }
  return [...runs].sort();
}

async function manifestKeys(store: Objects, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) if (key.endsWith('/manifest.json')) keys.push(key);
  return keys;
}

/** @throws PipelineError CHECKPOINT_INVALID if the bytes are not the saved ones */
export async function readWeights(store: Objects, checkpoint: Checkpoint): Promise<Uint8Array> {
  const { bytes } = await store.get(checkpoint.weights.key);
  if (sha256Hex(bytes) !== checkpoint.weights.sha256)
    throw new PipelineError('CHECKPOINT_INVALID', `${checkpoint.weights.key} does not have the sha256 in its manifest`);
  return bytes;
}

function parseCheckpoint(key: string, json: unknown): Checkpoint {
  const parsed = checkpointSchema.safeParse(json);
  if (parsed.success) {
    const { runId, step } = parsed.data;
    if (manifestKey(runId, step) === key) return parsed.data;
    throw new PipelineError('CHECKPOINT_INVALID', `${key} is the manifest of another checkpoint: ${runId}/${step}`);
  }
  throw new PipelineError('CHECKPOINT_INVALID', `${key}: ${parsed.error.issues[0]?.path.join('.')} ${parsed.error.issues[0]?.message}`);
}
