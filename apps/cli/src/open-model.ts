/** Loads the model that a command uses, from the running stack or from a folder written by `undertone train`. */
import { existsSync } from 'node:fs';
import { chooseFfmpeg } from '#audio/decode/ffmpeg-config.js';
import { decodersWith, type FeatureSettings, featureSettings } from '#audio/feature-settings.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { type BackendChoice, type BackendOptions, chooseBackend } from '#tensor/backend.js';
import { loadModel } from '#model-files/checkpoint.js';
import type { AnyModel } from '#paper/model.js';
import type { Environment } from '#service/read-config.js';
import { FolderStore } from '#storage/folder-store.js';
import type { Objects } from '#storage/object-store.js';
import { type Checkpoint, findNewestModel, readWeights } from '#rounds/checkpoint-store.js';
import { chooseServedModel, whyChosen } from '#serving/choose-model.js';
import { featureSettingsOf } from '#serving/feature-settings-of.js';
import { environment, quietTensorflow } from './config.js';
import { connect } from './connect.js';
import { findModel } from './find-model.js';

export interface OpenedModel {
  checkpoint: Checkpoint;
  model: AnyModel;
  /** The reason for this choice, in words. */
  chosen: string;
  /** The feature settings that the model was trained with; the defaults of this machine if they are not known. */
  features: FeatureSettings;
  /** The environment of the stack, or of this process if no stack is used. */
  environment: Environment;
}

/** Names the model. Without a choice it is the champion of the newest model's target, else the newest model. */
export interface ModelChoice {
  /** A folder written by `undertone train`. */
  from?: string;
  /** RUN/STEP. */
  model?: string;
  newest?: boolean;
}

/** @throws PipelineError CONFIG_INVALID if there is no such model or no finished round, CHECKPOINT_INVALID */
export async function openModel(choice: ModelChoice): Promise<OpenedModel> {
  const { from } = choice;
  if (from !== undefined) {
    if (!existsSync(from)) throw new PipelineError('CONFIG_INVALID', `--from ${from}: there is no such folder`);
    return {
      ...(await load(
        new FolderStore(from),
        choice,
        `${from} holds no model yet: its round has not finished. Finish it with \`./undertone train --resume\`.`,
      )),
      environment,
    };
  }
  const connections = connect();
  const none = 'There is no model yet: the first round has not finished. `./undertone status` shows its progress.';
  try {
    return { ...(await load(connections.store, choice, none)), environment: connections.environment };
  } finally {
    connections.store.close();
  }
}

async function load(store: Objects, choice: ModelChoice, none: string): Promise<Omit<OpenedModel, 'environment'>> {
  const found = await chooseModel(store, choice);
  if (!found) throw new PipelineError('CONFIG_INVALID', none);
  const { checkpoint } = found;
  await startBackend();
  const model = loadModel(checkpoint.model, await readWeights(store, checkpoint));
  return { ...found, model, features: await settingsOf(store, checkpoint) };
}

/** A folder of `undertone train` holds no shards, so the defaults are tried; they mostly are the settings. */
async function settingsOf(store: Objects, { settingsHash }: Checkpoint): Promise<FeatureSettings> {
  try {
    return await featureSettingsOf(store, settingsHash);
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code !== 'FEATURE_SETTINGS_MISMATCH') throw error;
    return featureSettings({ decoders: decodersWith(chooseFfmpeg(environment)) });
  }
}

/** @returns null if no round has finished yet @throws PipelineError CONFIG_INVALID */
export async function chooseModel(
  store: Objects,
  { model, newest }: ModelChoice,
): Promise<{ checkpoint: Checkpoint; chosen: string } | null> {
  if (model !== undefined && newest)
    throw new PipelineError('CONFIG_INVALID', '--model and --newest exclude each other. Give one of the two.');
  if (model !== undefined) return { checkpoint: await findModel(store, model), chosen: 'named by --model' };
  if (newest) {
    const last = await findNewestModel(store);
    return last && { checkpoint: last, chosen: 'the newest' };
  }
  const served = await chooseServedModel(store);
  return served && { checkpoint: served.checkpoint, chosen: whyChosen(served) };
}

/** Starts the requested backend (the argument, else TF_BACKEND), or the first that loads if none is requested. */
export async function startBackend(requested = environment['TF_BACKEND']): Promise<BackendChoice> {
  quietTensorflow();
  return chooseBackend({ ...backendWanted(requested), log: () => undefined });
}

/** The backend options of a process. */
export function backendWanted(requested = environment['TF_BACKEND']): Omit<BackendOptions, 'log'> {
  return { requested: requested || undefined, webgpuDir: environment['WEBGPU_DIR'], hasGpu: existsSync('/dev/nvidia0') };
}
