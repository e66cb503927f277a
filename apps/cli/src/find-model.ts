/** Finds a model by its name, RUN/STEP. */
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Objects } from '#storage/object-store.js';
import { type Checkpoint, findCheckpoint } from '#rounds/checkpoint-store.js';

/** @throws PipelineError CONFIG_INVALID if it is not a name, there is no such model, or its round did not finish */
export async function findModel(store: Objects, name: string): Promise<Checkpoint> {
  const [, runId, step] = /^([^/]+)\/0*(\d+)$/.exec(name) ?? [];
  if (runId === undefined || step === undefined)
    throw new PipelineError('CONFIG_INVALID', `${name}: expected the name of a model, RUN/STEP. \`./undertone models\` lists them.`);
  const checkpoint = await findCheckpoint(store, runId, Number(step));
  if (!checkpoint) throw new PipelineError('CONFIG_INVALID', `There is no model ${name}. \`./undertone models\` lists the models.`);
  if (!checkpoint.complete) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `${name} was saved in the middle of a round and was not scored. Choose a model of a finished round; \`./undertone models\` lists them.`,
    );
  }
  return checkpoint;
}
