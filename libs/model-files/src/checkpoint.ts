/**
 * A model as bytes (safetensors) and a manifest, and back: weights, running statistics, optimiser slots, the generator's state. What is loaded trains
 * on exactly as what was saved would have (bit for bit on the single-threaded `cpu` backend). Place in the sampler, view
 * and vocabularies are the trainer's to add, as are digests and the writing, manifest last.
 */
import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { PipelineError } from '#contracts/pipeline-error.js';
import { createModel } from '#baselines/create-model.js';
import { type AnyModel, modelOptimisers, modelParameters, modelStatistics } from '#paper/model.js';
import { SeededRandom } from '#tensor/random.js';
import { type NamedTensor, readSafetensors, writeSafetensors } from './safetensors.js';
import { type ModelSettings, parseModelSettings } from '#paper/settings.js';

/** Raised when old bytes would be misread. */
const FORMAT_VERSION = 2;

const uint32 = z.int().min(0).max(0xffffffff);

/** What the weights' file (safetensors) does not hold. `settings` is checked by its own schema. */
const manifestSchema = z.object({
  formatVersion: z.literal(FORMAT_VERSION, `format is not version ${FORMAT_VERSION}`),
  settings: z.record(z.string(), z.unknown()),
  speakerCount: z.int().min(0),
  /** Updates by optimiser, by position in its parameter list. */
  optimisers: z.record(z.string(), z.array(z.int().min(0))),
  randomState: z.tuple([uint32, uint32, uint32, uint32]),
});

/** Plain JSON. */
type ModelManifest = Omit<z.output<typeof manifestSchema>, 'settings'> & { settings: ModelSettings };

export interface SavedModel {
  manifest: ModelManifest;
  bytes: Uint8Array;
}

/**
 * Reads all tensors back to the host; the model stays as it is.
 * @throws PipelineError MODEL_DIVERGED when a number is not finite: a model that diverged must not replace one that had not.
 */
export async function saveModel(model: AnyModel): Promise<SavedModel> {
  const tensors: NamedTensor[] = [];
  for (const { name, variable } of storedTensors(model)) {
    const values = await variable.data<'float32'>();
    if (!values.every(Number.isFinite))
      throw new PipelineError(
        'MODEL_DIVERGED',
        `${name} is not finite: the model has diverged. Lower learningRate in the model's settings.`,
      );
    tensors.push({ name, shape: [...variable.shape], values });
  }
  const manifest: ModelManifest = {
    formatVersion: FORMAT_VERSION,
    settings: model.settings,
    speakerCount: model.speakerCount,
    optimisers: Object.fromEntries(modelOptimisers(model).map(({ name, slots }) => [name, slots.map(({ step }) => step)])),
    randomState: model.random.state,
  };
  return { manifest, bytes: writeSafetensors(tensors, { format: `undertone checkpoint ${FORMAT_VERSION}` }) };
}

/**
 * Makes the model that was saved. The caller disposes it.
 * @throws PipelineError CHECKPOINT_INVALID when manifest, bytes and this code do not fit together, or a number is not finite.
 */
export function loadModel(manifest: unknown, bytes: Uint8Array): AnyModel {
  const saved = parseManifest(manifest);
  const model = createSavedModel(saved);
  try {
    restore(model, saved, bytes);
  } catch (error) {
    model.dispose();
    throw error;
  }
  return model;
}

interface StoredTensor {
  name: string;
  variable: tf.Variable;
}

/** Everything that is tensor, in the one order of the format. */
function storedTensors(model: AnyModel): StoredTensor[] {
  const weights = [...modelParameters(model), ...modelStatistics(model)].map(({ name, value }) => ({ name, variable: value }));
  const moments = modelOptimisers(model).flatMap((optimiser) =>
    optimiser.slots.flatMap(({ parameter, moment1, moment2 }) => [
      { name: `${optimiser.name}/${parameter.name}/moment1`, variable: moment1 },
      { name: `${optimiser.name}/${parameter.name}/moment2`, variable: moment2 },
    ]),
  );
  return [...weights, ...moments];
}

function parseManifest(manifest: unknown): z.output<typeof manifestSchema> {
  const parsed = manifestSchema.safeParse(manifest);
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map((issue) => `${issue.path.join('.') || 'manifest'}: ${issue.message}`).join('; '));
}

function createSavedModel(saved: z.output<typeof manifestSchema>): AnyModel {
  let settings: ModelSettings;
  try {
    settings = parseModelSettings(saved.settings);
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : 'settings unreadable', error);
  }
  // Made at the size it had grown to; `settings` itself stays as it was when the model was first made.
  const model = createModel({ ...settings, tasks: { ...settings.tasks, speakers: saved.speakerCount } });
  return Object.assign(model, { settings });
}

function restore(model: AnyModel, saved: z.output<typeof manifestSchema>, bytes: Uint8Array): void {
  const stored = storedTensors(model);
  const tensors = readSafetensors(bytes);
  if (stored.length !== tensors.length)
    throw invalid(
      `${tensors.length} tensors where these settings make ${stored.length}: weights and manifest are of two models, take both from one folder`,
    );
  stored.forEach(({ name, variable }, i) => {
    const tensor = tensors[i]!;
    if (tensor.name !== name || tensor.shape.join() !== variable.shape.join())
      throw invalid(`tensor ${i} is ${tensor.name} [${tensor.shape.join()}], expected ${name} [${variable.shape.join()}]`);
    if (!tensor.values.every(Number.isFinite)) throw invalid(`${name} holds a number that is not finite`);
    tf.tidy(() => variable.assign(tf.tensor(tensor.values, variable.shape, 'float32')));
  });
  for (const optimiser of modelOptimisers(model)) {
    const steps = saved.optimisers[optimiser.name];
    if (steps?.length !== optimiser.slots.length) throw invalid(`optimiser ${optimiser.name} has no step counts that fit`);
    optimiser.slots.forEach((slot, i) => {
      slot.step = steps[i]!;
    });
  }
  model.random = SeededRandom.fromState(saved.randomState);
}

function invalid(problem: string, cause?: unknown): PipelineError {
  return new PipelineError('CHECKPOINT_INVALID', `checkpoint: ${problem}`, { cause });
}
