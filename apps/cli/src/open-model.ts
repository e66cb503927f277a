/** The model that a command is to use, of the stack that runs or of a folder that `undertone train` has made. */
import { existsSync } from 'node:fs';
import { PipelineError } from '#contracts/pipeline-error.js';
import { type BackendChoice, type BackendOptions, chooseBackend } from '#tensor/backend.js';
import { loadModel } from '#model-files/checkpoint.js';
import type { AnyModel } from '#paper/model.js';
import type { Environment } from '#service/read-config.js';
import { FolderStore } from '#storage/folder-store.js';
import type { Objects } from '#storage/object-store.js';
import { currentChampion } from '#evaluation/champions.js';
import { type Checkpoint, findCheckpoint, findNewestModel, readWeights, targetOf } from '#rounds/checkpoint-store.js';
import { environment, quietTensorflow } from './config.js';
import { connect } from './connect.js';
import { findModel } from './find-model.js';

export interface OpenedModel {
  checkpoint: Checkpoint;
  model: AnyModel;
  /** Why it is this one, in words. */
  chosen: string;
  /** Of the stack, or this process's where there is none. */
  environment: Environment;
}

/** Which model; the champion of the newest model's target, else the newest, where nothing is said. */
export interface ModelChoice {
  /** A folder of `train`'s. */
  from?: string;
  /** RUN/STEP. */
  model?: string;
  newest?: boolean;
}

/** @throws PipelineError CONFIG_INVALID when there is no such model or no finished round, CHECKPOINT_INVALID */
export async function openModel(choice: ModelChoice): Promise<OpenedModel> {
  const { from } = choice;
  if (from !== undefined) {
    if (!existsSync(from)) throw new PipelineError('CONFIG_INVALID', `${from} is not a folder`);
    return { ...(await load(new FolderStore(from), choice, `${from} holds no model: its round has to finish.`)), environment };
  }
  const connections = connect();
  const none = 'There is no model yet: a first round has to finish. `./undertone status` shows where it is.';
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
  return { ...found, model: loadModel(checkpoint.model, await readWeights(store, checkpoint)) };
}

/** @returns null where no round has finished yet. @throws PipelineError CONFIG_INVALID */
export async function chooseModel(
  store: Objects,
  { model, newest }: ModelChoice,
): Promise<{ checkpoint: Checkpoint; chosen: string } | null> {
  if (model !== undefined && newest)
    throw new PipelineError('CONFIG_INVALID', '--model names one and --newest another: say one of the two');
  if (model !== undefined) return { checkpoint: await findModel(store, model), chosen: 'named by --model' };
  const last = await findNewestModel(store);
  if (!last) return null;
  if (newest) return { checkpoint: last, chosen: 'the newest' };
  const target = targetOf(last);
  const champion = await currentChampion(store, target);
  if (!champion) return { checkpoint: last, chosen: `the newest; no model is champion of ${target} yet` };
  const { runId, step, sha256 } = champion.model;
  const checkpoint = await findCheckpoint(store, runId, step);
  if (!checkpoint || checkpoint.weights.sha256 !== sha256) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `Champion ${champion.number} of ${target} is ${runId}/${step}, which is ${checkpoint ? 'another model now' : 'not there any more'}. \`./undertone promote\` or \`rollback\` makes another the champion; --newest goes without.`,
    );
  }
  return { checkpoint, chosen: `champion ${champion.number} of ${target}` };
}

/** The one that is asked for, by TF_BACKEND if not here; else the first that loads. */
export async function startBackend(requested = environment['TF_BACKEND']): Promise<BackendChoice> {
  quietTensorflow();
  return chooseBackend({ ...backendWanted(requested), log: () => undefined });
}

/** What a process is asked to compute with. */
export function backendWanted(requested = environment['TF_BACKEND']): Omit<BackendOptions, 'log'> {
  return { requested: requested || undefined, webgpuDir: environment['WEBGPU_DIR'], hasGpu: existsSync('/dev/nvidia0') };
}
