/** The file that `undertone train` reads: with the shards, all that a run depends on. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import type { Split } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { parseModelSettings } from '#model/settings.js';
import { rateSchedules } from '#training/learning-rate.js';

const schema = z.strictObject({
  name: z.string().regex(/^[\w.-]+$/, 'letters, digits, - _ and . only'),
  /** Of the model, see libs/model/src/settings.ts; the paper's by default. */
  model: z.record(z.string(), z.unknown()).default({}),
  batch: z.strictObject({ labelled: z.int().min(1).default(16), unlabelled: z.int().min(1).default(16) }).prefault({}),
  steps: z.int().min(1).default(2000),
  checkpointEvery: z.int().min(1).default(100),
  /** Checkpoints without a better UA on dev speakers after which it is enough; 0: all steps, and the last model. */
  patience: z.int().min(0).default(0),
  schedule: z.enum(rateSchedules).default('constant'),
  warmupSteps: z.int().min(0).default(0),
  statisticsTiles: z.int().min(1).default(512),
  seed: z.int().min(0).default(1),
  /** Speakers with their corpus before them. */
  splits: z.strictObject({ dev: z.array(z.string()).default([]), test: z.array(z.string()).default([]) }).prefault({}),
});
export type TrainConfig = z.output<typeof schema>;

/** YAML, and so JSON too. @throws PipelineError CONFIG_INVALID, SETTINGS_INVALID */
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
  return new Map((['dev', 'test'] as const).flatMap((split) => splits[split].map((speaker): [string, Split] => [speaker, split])));
}
