/** Settings of the trainer, from the environment. */
import { existsSync, readFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { isKeyName } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { parseModelSettings } from '#paper/settings.js';
import { readKafkaConnection, readServiceSettings, readStoreConnection } from '#service/connection-config.js';
import { codeVersion } from '#service/package-root.js';
import { field, readConfig } from '#service/read-config.js';
import { compactionFields, compactionSettings } from '#compaction/compaction-job.js';
import { rateSchedules } from '#rounds/learning-rate.js';
import { configHashOf, type RunSettings } from '#rounds/run-settings.js';

export function readTrainerConfig() {
  // TensorFlow greets on stderr unless told not to; the compute process inherits this.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  const read = readConfig({
    /** Runs are named `<RUN_NAME>-<digest of the settings>`: other settings, another run. */
    RUN_NAME: field.text('main').refine((name) => isKeyName(name) && name.length <= 150, 'expected at most 150 characters, and no slashes'),
    TRAINER_ID: field.text(hostname()),
    /** A JSON file with the model's settings; the paper's without one. */
    MODEL_SETTINGS_FILE: field.optionalText(),
    BATCH_LABELLED: field.whole(16, 1),
    BATCH_UNLABELLED: field.whole(16, 0),
    /** Steps of one round. */
    ROUND_STEPS: field.whole(500, 1),
    /** Seconds after which a round ends though it has steps left; 0: never. */
    ROUND_MAX_SEC: field.secondsOrNever(),
    /** New or changed training utterances that it takes for a round. */
    ROUND_MIN_NEW: field.whole(1, 1),
    /** Seconds after which a round starts with fewer, or with nothing new at all; 0: never. */
    ROUND_EVERY: field.secondsOrNever(),
    /** Of a batch, the share that earlier rounds have learnt already. */
    REPLAY_SHARE: field.share(0.5),
    /** Checkpoints of a round without a better UA on dev speakers after which it ends; 0: they are not asked. */
    EARLY_STOPPING_PATIENCE: field.whole(3, 0),
    LEARNING_RATE_SCHEDULE: z.enum(rateSchedules).default('constant'),
    WARMUP_STEPS: field.whole(0, 0),
    /** After a divergence, the share of the learning rate with which the run goes on; 1: all of it. */
    DIVERGED_RATE_FACTOR: z.coerce.number().positive().max(1).default(0.5),
    /** Finished rounds whose weights are kept; champions always are. */
    KEEP_MODELS: field.whole(20, 1),
    /** Seconds without news after which a round starts, and the longest that news may go on. */
    ROUND_QUIET: field.seconds(10),
    ROUND_MAX_WAIT: field.seconds(300),
    /** Seconds between snapshots of the index, where it has changed. */
    SNAPSHOT_INTERVAL: field.seconds(900),
    REPORT_STEPS: field.whole(5, 1),
    CHECKPOINT_STEPS: field.whole(100, 1),
    STATISTICS_TILES: field.whole(512, 1),
    TRAINING_SEED: field.whole(1),
    TF_BACKEND: field.optionalText(),
    WEBGPU_DIR: field.optionalText(),
    /** Where shard files are kept. */
    SHARD_CACHE: field.text(join(tmpdir(), 'undertone-shards')),
    /** Of all of them; what goes beyond stays in the store, and is read there tile by tile. */
    SHARD_CACHE_MB: field.whole(20_000, 0),
    /** Seconds between compactions of the shards; 0: never. */
    COMPACTION_INTERVAL: field.whole(600),
    ...compactionFields,
    /** Whether it takes jobs of experiments, beside its rounds. */
    EXPERIMENT_WORKER: field.flag(false),
  });
  const model = read.MODEL_SETTINGS_FILE ? readModelSettings(read.MODEL_SETTINGS_FILE) : {};
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
    service: readServiceSettings(7403, 'TRAINER_PORT'),
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
