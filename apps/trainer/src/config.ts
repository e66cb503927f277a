/** Reads the settings of the trainer from the environment. */
import { existsSync, readFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { isKeyName } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { parseModelSettings } from '#paper/settings.js';
import { readKafkaConnection, readServiceSettings, readStoreConnection, servicePorts } from '#service/connection-config.js';
import { codeVersion } from '#service/package-root.js';
import { presetVariables, withPreset } from '#service/presets.js';
import { field, readConfig } from '#service/read-config.js';
import { compactionFields, compactionSettings } from '#compaction/compaction-job.js';
import { rateSchedules } from '#rounds/learning-rate.js';
import { configHashOf, type RunSettings } from '#rounds/run-settings.js';

export const trainerVariables = {
  ...presetVariables,
  RUN_NAME: field
    .text('main')
    .refine((name) => isKeyName(name) && name.length <= 150, 'expected at most 150 characters, and no slashes')
    .describe(
      "First part of a run's name: `<RUN_NAME>-<digest of model settings, batch and seed>`. Other settings begin another run. At most 150 characters, no slashes.",
    ),
  TRAINER_ID: field
    .text(hostname())
    .meta({ shownDefault: 'the host name' })
    .describe("Name of this trainer in the run's lease. Two trainers of one run on one host need different names."),
  MODEL_SETTINGS_FILE: field
    .optionalText()
    .meta({ shownDefault: "the preset's network" })
    .describe(
      "JSON file with the model's settings. `libs/paper/src/settings.ts` lists them. A setting that the file leaves out has the value of `PRESET`, or of the file's own `preset`.",
    ),
  BATCH_LABELLED: field
    .wholeIn('tiles', 16, 1)
    .describe('Labelled tiles of one step. Unlabelled tiles fill their places while there are no labelled ones.'),
  BATCH_UNLABELLED: field
    .wholeIn('tiles', 16, 0)
    .describe(
      'Unlabelled tiles of one step. Labelled tiles fill their places while there are no unlabelled ones. 0 leaves unlabelled tiles out, as long as there are labelled ones.',
    ),
  ROUND_STEPS: field.wholeIn('steps', 500, 1).describe('Length of a round. An unfinished round keeps the length that it began with.'),
  ROUND_MAX_SEC: field.secondsOrNever().describe('A round ends after this time even if it has steps left. 0 means never.'),
  ROUND_MIN_NEW: field
    .wholeIn('utterances', 1, 1)
    .describe('New, changed or erased utterances that start a round. The first round starts with any number.'),
  ROUND_EVERY: field
    .secondsOrNever()
    .describe('A round starts this long after the last one even if fewer utterances changed, or none. 0 means never.'),
  REPLAY_SHARE: field
    .share(0.5)
    .describe('Share of a batch, from 0 to 1, for tiles that earlier rounds have learnt already. New tiles fill the rest.'),
  EARLY_STOPPING_PATIENCE: field
    .wholeIn('checkpoints', 3, 0)
    .describe(
      'A round ends after this many checkpoints without a better UA of emotion on dev speakers, and keeps its best model. It needs seven dev speakers: two that pick and five that decide. 0 switches it off.',
    ),
  LEARNING_RATE_SCHEDULE: z
    .enum(rateSchedules)
    .default('constant')
    .describe('`constant` keeps the learning rate. `cosine` lowers it to a tenth within each round.'),
  WARMUP_STEPS: field.wholeIn('steps', 0, 0).describe('Steps in which the learning rate grows linearly to its full value.'),
  DIVERGED_RATE_FACTOR: z.coerce
    .number()
    .positive()
    .max(1)
    .default(0.5)
    .describe(
      'After a divergence the run goes back to its newest checkpoint, and goes on with this share of its learning rate. 1 keeps the rate.',
    ),
  KEEP_MODELS: field
    .wholeIn('rounds', 20, 1)
    .describe('Finished rounds whose weights stay in the bucket. Weights of champions always stay.'),
  ROUND_QUIET: field.seconds(10).describe('A round starts when no news has come for this long.'),
  ROUND_MAX_WAIT: field.seconds(300).describe('News that never pauses delays a round for no longer than this.'),
  SNAPSHOT_INTERVAL: field
    .seconds(900)
    .describe(
      'Time between two snapshots of the index, if it has changed. You may delete snapshots at any time: the next start then reads the topics.',
    ),
  REPORT_STEPS: field.wholeIn('steps', 5, 1).describe('Steps between two `StepTrained` records.'),
  CHECKPOINT_STEPS: field.wholeIn('steps', 100, 1).describe('Steps between two checkpoints within a round.'),
  STATISTICS_TILES: field
    .wholeIn('tiles', 512, 1)
    .describe('Tiles on which the trainer measures batch-norm statistics before it predicts.'),
  TRAINING_SEED: field
    .whole(1)
    .describe("Seed of the order of tiles. It also seeds weights, dropout and prior unless the model's settings have a `seed`."),
  TF_BACKEND: field
    .optionalText()
    .meta({ shownDefault: 'the first that loads' })
    .describe(
      'Back end for training: `node-gpu`, `webgpu`, `node`, `wasm` or `cpu`. If it is set and does not load, the trainer stops. Commands that train or predict read it too.',
    ),
  WEBGPU_DIR: field
    .optionalText()
    .describe(
      'For `webgpu`: the folder with its package. `npm install --prefix DIR webgpu@0.6.2` makes it (130 MB). Commands that train or predict read it too.',
    ),
  SHARD_CACHE: field
    .text(join(tmpdir(), 'undertone-shards'))
    .meta({ shownDefault: '`undertone-shards` in the temporary folder' })
    .describe(
      'Folder for copies of shards on local disk. Each process has a sub-folder of its own, so trainers of one host may share the folder. The next process adopts the sub-folder of a process that died. The trainer deletes files that the view of its round does not name. A stack sets `.undertone/<stack>/shards` unless you set it.',
    ),
  SHARD_CACHE_MB: field
    .wholeIn('10⁶ bytes', 20_000, 0)
    .describe(
      'Limit of these copies, for each process. The trainer reads further shards from the store, tile by tile, which makes a round slower.',
    ),
  COMPACTION_INTERVAL: field
    .wholeIn('seconds', 600)
    .describe('Time between two compactions of the shards. 0 means that only `undertone compact` compacts.'),
  ...compactionFields,
  EXPERIMENT_WORKER: field
    .flag(false)
    .describe(
      '`true` lets the trainer take jobs of `./undertone experiment` beside its rounds. It keeps their shards in `<SHARD_CACHE>-experiments`, under the limit of `SHARD_CACHE_MB`.',
    ),
};

export function readTrainerConfig() {
  // TensorFlow prints a greeting on stderr unless this is set. The compute process inherits it.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  const read = readConfig(trainerVariables, withPreset(process.env));
  const model = {
    preset: read.PRESET,
    ...(read.MODEL_SETTINGS_FILE && readModelSettings(read.MODEL_SETTINGS_FILE)),
  };
  const batch = { labelled: read.BATCH_LABELLED, unlabelled: read.BATCH_UNLABELLED };
  const run: RunSettings = {
    runId: `${read.RUN_NAME}-${configHashOf({ model, batch, seed: read.TRAINING_SEED })}`,
    model,
    batch,
    roundSteps: read.ROUND_STEPS,
    roundMaxSec: read.ROUND_MAX_SEC || null,
    replayShare: read.REPLAY_SHARE,
    patience: read.EARLY_STOPPING_PATIENCE,
    rate: { schedule: read.LEARNING_RATE_SCHEDULE, warmupSteps: read.WARMUP_STEPS },
    divergedRateFactor: read.DIVERGED_RATE_FACTOR,
    reportEvery: read.REPORT_STEPS,
    checkpointEvery: read.CHECKPOINT_STEPS,
    statisticsTiles: read.STATISTICS_TILES,
    seed: read.TRAINING_SEED,
    codeVersion,
  };
  return {
    kafka: readKafkaConnection(),
    store: readStoreConnection(),
    service: readServiceSettings(servicePorts.trainer, 'TRAINER_PORT'),
    runName: read.RUN_NAME,
    run,
    trainerId: read.TRAINER_ID,
    rounds: {
      quietMs: read.ROUND_QUIET * 1000,
      maxWaitMs: read.ROUND_MAX_WAIT * 1000,
      minNew: read.ROUND_MIN_NEW,
      everyMs: read.ROUND_EVERY * 1000 || null,
    },
    keepModels: read.KEEP_MODELS,
    snapshotIntervalMs: read.SNAPSHOT_INTERVAL * 1000,
    shardCache: { folder: read.SHARD_CACHE, limitBytes: read.SHARD_CACHE_MB * 1e6 },
    compaction: { intervalMs: read.COMPACTION_INTERVAL * 1000, settings: compactionSettings(read) },
    experiments: read.EXPERIMENT_WORKER,
    backend: { requested: read.TF_BACKEND, webgpuDir: read.WEBGPU_DIR, hasGpu: existsSync('/dev/nvidia0') },
  };
}
export type TrainerConfig = ReturnType<typeof readTrainerConfig>;

function readModelSettings(file: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new PipelineError('CONFIG_INVALID', `MODEL_SETTINGS_FILE ${file}: ${(error as Error).message}`, { cause: error });
  }
  parseModelSettings(json);
  return json as Record<string, unknown>;
}
