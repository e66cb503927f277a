/**
 * Checkpoints in the object store: `models/<run>/<step>/` with weights and manifest; the views that rounds were trained on
 * lie beside them, `models/<run>/views/<digest>.json.gz`, one for all checkpoints of a round.
 *
 * Delivery: the manifest is written last, so a checkpoint without one was never there; the newest whole one is where a
 * run goes on. Writing one twice writes the same again.
 */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { z } from 'zod';
import { emotionTargets, type EmotionTarget } from '#contracts/labels.js';
import { checkpointPrefix, manifestKey, runPrefix } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { predictionsWrittenSchema } from '#contracts/predictions.js';
import { stepLossesSchema } from '#contracts/training.js';
import { sha256Hex, type Objects } from '#storage/object-store.js';
import { isOutage } from '#streaming/retry.js';
import { seenPartSchema } from './seen.js';
import type { TrainingView } from '#index/training-index.js';

export { manifestKey };

const compress = promisify(gzip);
const decompress = promisify(gunzip);

const pool = z.object({ pass: z.number().int(), position: z.number().int() });
const place = z.object({ fresh: pool, replayed: pool, drawn: z.number().int() });

const checkpointSchema = z.object({
  format: z.literal(2),
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
  /** The best check of the round on dev speakers; null where it was not checked. */
  best: z.object({ step: z.number().int(), ua: z.number(), since: z.number().int() }).nullable(),
  /** The step whose weights these are: of a finished round, that of its best check. */
  weightsStep: z.number().int().nonnegative(),
  /** Of the settings' learning rate, the share that is left after divergences; absent: all of it. */
  rateScale: z.number().positive().optional(),
  /** The model that the round went on from. */
  parent: z.object({ step: z.number().int(), sha256: z.string() }).nullable(),
  sampler: z.object({ labelled: place, unlabelled: place }),
  /** Class names of the speaker head, in order. */
  speakers: z.array(z.string()),
  /** Of the clusters that the emotion head tells apart, in order; null where it tells something else. */
  midpoints: z
    .array(z.object({ activation: z.number(), valence: z.number() }))
    .nullable()
    .default(null),
  view: z.object({
    digest: z.string(),
    key: z.string(),
    utterances: z.number().int(),
    tiles: z.object({ labelled: z.number().int(), unlabelled: z.number().int() }),
    /** When the newest utterance that could be learnt from was ingested; absent where nobody knew. */
    newestAt: z.iso.datetime().optional(),
  }),
  /** All that the run has learnt from up to here. */
  seen: z.object({ digest: z.string(), versions: z.number().int(), parts: z.array(seenPartSchema) }),
  /** Utterances of the view that were erased or replaced while the round ran: from there on it is no exact repeat of another. */
  erasedInRound: z.number().int(),
  /** Feature settings of the tiles, needed to make tiles of new audio. */
  settingsHash: z.string(),
  configHash: z.string(),
  /** Beside the model's settings, what the run was configured with. */
  config: z.record(z.string(), z.unknown()),
  codeVersion: z.string(),
  losses: stepLossesSchema.nullable(),
  predictions: z.array(predictionsWrittenSchema),
  savedAt: z.iso.datetime(),
});
export type Checkpoint = z.infer<typeof checkpointSchema>;
export type CheckpointDraft = Omit<Checkpoint, 'format' | 'weights' | 'savedAt'>;

/** What a checkpoint's round was given. */
interface SavedView {
  digest: string;
  utterances: { utteranceId: string; version: string; shardId: string }[];
}

export const viewKey = (runId: string, digest: string): string => `${runPrefix(runId)}views/${digest}.json.gz`;

/** @param beforeManifest called when all but the manifest is written; if it throws, there is no checkpoint */
export async function saveCheckpoint(
  store: Objects,
  draft: CheckpointDraft,
  content: { weights: Uint8Array; view: TrainingView; beforeManifest: () => Promise<void> },
): Promise<Checkpoint> {
  const sha256 = sha256Hex(content.weights);
  // By content: a trainer that was superseded and wakes up late cannot change what a newer one has announced.
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

/** Once for each view: a round's checkpoints share it. */
async function saveView(store: Objects, key: string, view: TrainingView): Promise<void> {
  if (await store.head(key)) return;
  const utterances = view.utterances.map(({ utteranceId, version, shardId }) => ({ utteranceId, version, shardId }));
  const json = JSON.stringify({ digest: view.digest, utterances } satisfies SavedView);
  await store.put(key, await compress(json), { contentType: 'application/gzip' });
}

/** @returns the utterance versions that a checkpoint's round was given @throws PipelineError CHECKPOINT_INVALID */
export async function readView(store: Objects, { view }: Checkpoint): Promise<SavedView> {
  const found = await store.find(view.key);
  if (!found) throw new PipelineError('CHECKPOINT_INVALID', `${view.key} is missing`);
  return JSON.parse((await decompress(found.bytes)).toString()) as SavedView;
}

/**
 * The checkpoints of a run, the newest first.
 * @param onRefused called for a manifest that cannot be read
 */
export async function* newestCheckpoints(store: Objects, runId: string, onRefused: (why: string) => void): AsyncGenerator<Checkpoint> {
  // Steps are padded, so that the last key of a run is its newest checkpoint.
  for (const key of (await manifestKeys(store, runPrefix(runId))).sort().reverse()) {
    try {
      yield parseCheckpoint(key, await store.findJson(key));
    } catch (error) {
      if (!(error instanceof PipelineError) || isOutage(error)) throw error;
      onRefused(error.message);
    }
  }
}

/** @returns the checkpoint that was saved last among all finished rounds of all runs; null if there is none */
export async function findNewestModel(store: Objects): Promise<Checkpoint | null> {
  let newest: Checkpoint | null = null;
  const runs = new Set((await manifestKeys(store, 'models/')).map((key) => key.split('/')[1] as string));
  for (const runId of runs) {
    for await (const checkpoint of newestCheckpoints(store, runId, () => undefined)) {
      if (!checkpoint.complete) continue;
      if (!newest || checkpoint.savedAt > newest.savedAt) newest = checkpoint;
      break;
    }
  }
  return newest;
}

/** @returns null if there is no such checkpoint, or it was not written whole. @throws PipelineError CHECKPOINT_INVALID */
export async function findCheckpoint(store: Pick<Objects, 'findJson'>, runId: string, step: number): Promise<Checkpoint | null> {
  const key = manifestKey(runId, step);
  const json = await store.findJson(key);
  return json === null ? null : parseCheckpoint(key, json);
}

/** What its emotion head tells apart. @throws PipelineError CHECKPOINT_INVALID for settings of which none is known */
export function targetOf({ runId, step, model }: Checkpoint): EmotionTarget {
  const { target = 'emotion' } = (model['settings'] ?? {}) as { target?: unknown };
  const found = emotionTargets.find((each) => each === target);
  if (!found)
    throw new PipelineError('CHECKPOINT_INVALID', `${manifestKey(runId, step)}: its target is none of ${emotionTargets.join(', ')}`);
  return found;
}

/** Every finished round of every run, in order of time. @param onRefused called for a manifest that cannot be read */
export async function finishedModels(store: Objects, onRefused: (why: string) => void): Promise<Checkpoint[]> {
  const runs = new Set((await manifestKeys(store, 'models/')).map((key) => key.split('/')[1] as string));
  const found: Checkpoint[] = [];
  for (const runId of runs) {
    for await (const checkpoint of newestCheckpoints(store, runId, onRefused)) if (checkpoint.complete) found.push(checkpoint);
  }
  return found.sort((a, b) => (a.savedAt < b.savedAt ? -1 : 1));
}

async function manifestKeys(store: Objects, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) if (key.endsWith('/manifest.json')) keys.push(key);
  return keys;
}

/** @throws PipelineError CHECKPOINT_INVALID if the bytes are not those that were saved */
export async function readWeights(store: Objects, checkpoint: Checkpoint): Promise<Uint8Array> {
  const { bytes } = await store.get(checkpoint.weights.key);
  if (sha256Hex(bytes) !== checkpoint.weights.sha256)
    throw new PipelineError('CHECKPOINT_INVALID', `${checkpoint.weights.key} is not what its manifest says`);
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
