/** The newest model, of the stack that runs or of a folder that `undertone train` has made. */
import { existsSync } from 'node:fs';
import { PipelineError } from '#contracts/pipeline-error.js';
import { type BackendChoice, chooseBackend } from '#model/backend.js';
import { loadModel } from '#model/checkpoint.js';
import type { Model } from '#model/model.js';
import type { Environment } from '#service/read-config.js';
import { FolderStore } from '#storage/folder-store.js';
import type { Objects } from '#storage/object-store.js';
import { type Checkpoint, findNewestModel, readWeights } from '#training/checkpoint-store.js';
import { environment, quietTensorflow } from './config.js';
import { connect } from './connect.js';

export interface OpenedModel {
  checkpoint: Checkpoint;
  model: Model;
  /** Of the stack, or this process's where there is none. */
  environment: Environment;
}

export const fromOption = {
  flags: '--from <dir>',
  description: 'a folder that `undertone train` has made; the running stack if not given',
};

/** @param from such a folder @throws PipelineError CONFIG_INVALID when there is no finished round, CHECKPOINT_INVALID */
export async function openModel(from?: string): Promise<OpenedModel> {
  if (from !== undefined) {
    if (!existsSync(from)) throw new PipelineError('CONFIG_INVALID', `${from} is not a folder`);
    return { ...(await load(new FolderStore(from), `${from} holds no model: its round has to finish.`)), environment };
  }
  const connections = connect();
  const none = 'There is no model yet: a first round has to finish. `./undertone status` shows where it is.';
  try {
    return { ...(await load(connections.store, none)), environment: connections.environment };
  } finally {
    connections.store.close();
  }
}

async function load(store: Objects, none: string): Promise<{ checkpoint: Checkpoint; model: Model }> {
  const checkpoint = await findNewestModel(store);
  if (!checkpoint) throw new PipelineError('CONFIG_INVALID', none);
  await startBackend();
  return { checkpoint, model: loadModel(checkpoint.model, await readWeights(store, checkpoint)) };
}

/** The one that is asked for, by TF_BACKEND if not here; else the first that loads. */
export async function startBackend(requested = environment['TF_BACKEND']): Promise<BackendChoice> {
  quietTensorflow();
  return chooseBackend({
    requested,
    webgpuDir: environment['WEBGPU_DIR'],
    hasGpu: existsSync('/dev/nvidia0'),
    log: () => undefined,
  });
}
