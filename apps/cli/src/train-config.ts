/**
 * Reads the configuration of `undertone train`. This file and the shards determine a run. The config.json that a run writes is
 * such a file too: it holds every default and the digests of the shards, so it suffices to repeat the run.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { type Split, splits as splitNames } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { backendNames } from '#tensor/backend.js';
import { type ModelSettings, parseModelSettings } from '#paper/settings.js';
import { rateSchedules } from '#rounds/learning-rate.js';
import { modelSettingsOf } from '#rounds/run-settings.js';
import type { FolderView } from '#index/view-of-shards.js';

const speakers = z.array(z.string()).default([]);

const schema = z.strictObject({
  name: z.string().regex(/^[\w.-]+$/, 'letters, digits, - _ and . only'),
  /** Model settings, see libs/paper/src/settings.ts. Defaults: the paper's, with the tile of the shards and the seed of this file. */
  model: z.record(z.string(), z.unknown()).default({}),
  batch: z.strictObject({ labelled: z.int().min(1).default(16), unlabelled: z.int().min(0).default(16) }).prefault({}),
  steps: z.int().min(1).default(2000),
  checkpointEvery: z.int().min(1).default(100),
  /** Stop after this many dev checks without improvement; 0: train all steps and keep the last model. */
  patience: z.int().min(0).default(0),
  schedule: z.enum(rateSchedules).default('constant'),
  warmupSteps: z.int().min(0).default(0),
  statisticsTiles: z.int().min(1).default(512),
  /** Seed of the tile order, and of weights, dropout and prior samples unless the model has a seed of its own. */
  seed: z.int().min(0).default(1),
  /** Speakers as corpus/speaker. Other speakers get the split of splits.json beside the shards, or one by a hash. */
  splits: z.strictObject({ train: speakers, dev: speakers, test: speakers }).prefault({}),
  /** Values as in TF_BACKEND. */
  backend: z.enum(backendNames).optional(),
  /** Written to config.json. A run with this field refuses other shards. */
  viewDigest: z.string().optional(),
  settingsHash: z.string().nullable().optional(),
  /** Written to config.json. A run with another code version prints a warning. */
  codeVersion: z.string().optional(),
});
export type TrainConfig = z.output<typeof schema>;

/** Everything that identifies a run. */
export type ResolvedConfig = Omit<TrainConfig, 'model' | 'backend' | 'codeVersion'> & { model: ModelSettings };

/** Reads YAML, and therefore JSON too. @throws PipelineError CONFIG_INVALID, SETTINGS_INVALID */
export function readTrainConfig(file: string): TrainConfig {
  let content: unknown;
  try {
    content = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new PipelineError('CONFIG_INVALID', `${file}: ${(error as Error).message}`, { cause: error });
  }
  const parsed = schema.safeParse(content);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`);
    throw new PipelineError('CONFIG_INVALID', `${file}: ${problems.join('; ')}`);
  }
  parseModelSettings(parsed.data.model);
  return parsed.data;
}

export function splitsOf({ splits }: TrainConfig): Map<string, Split> {
  return new Map(splitNames.flatMap((split) => splits[split].map((speaker): [string, Split] => [speaker, split])));
}

/**
 * Fills in the values that come from the shards.
 * @throws PipelineError CONFIG_INVALID if the shards are not those that the file names
 */
export function resolveConfig(config: TrainConfig, view: FolderView): ResolvedConfig {
  const { backend: _backend, codeVersion: _codeVersion, ...given } = config;
  const model = modelSettingsOf(config, view.tileShape);
  if (model.tile.join() !== view.tileShape.join())
    throw new PipelineError(
      'CONFIG_INVALID',
      `model.tile is ${model.tile.join(' x ')} and the shards' tiles are ${view.tileShape.join(' x ')}. Leave model.tile out, or give other shards.`,
    );
  const resolved = { ...given, model, splits: effectiveSplits(view), viewDigest: view.digest, settingsHash: view.settingsHash };
  for (const name of ['viewDigest', 'settingsHash'] as const)
    if (given[name] !== undefined && given[name] !== resolved[name])
      throw new PipelineError(
        'CONFIG_INVALID',
        `The shards are not those of the run that wrote this file (${name} ${given[name]}). Give those, or delete viewDigest and settingsHash from the file.`,
      );
  return resolved;
}

function effectiveSplits(view: FolderView): TrainConfig['splits'] {
  const found = { train: new Set<string>(), dev: new Set<string>(), test: new Set<string>() };
  for (const { split, labels } of view.utterances) if (labels.speakerId !== undefined) found[split].add(labels.speakerId);
  return { train: [...found.train].sort(), dev: [...found.dev].sort(), test: [...found.test].sort() };
}
