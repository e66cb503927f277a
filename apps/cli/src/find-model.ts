/** A model by the name that people give it, RUN/STEP. */
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Objects } from '#storage/object-store.js';
import { type Checkpoint, findCheckpoint } from '#rounds/checkpoint-store.js';

/** @throws PipelineError CONFIG_INVALID when it is no name, there is no such model, or its round did not finish */
export async function findModel(store: Objects, name: string): Promise<Checkpoint> {
  const [, runId, step] = /^([^/]+)\/0*(\d+)$/.exec(name) ?? [];
  if (runId === undefined || step === undefined)
    throw new PipelineError('CONFIG_INVALID', `${name}: a model is named RUN/STEP, as \`./undertone models\` lists them`);
  const checkpoint = await findCheckpoint(store, runId, Number(step));
  if (!checkpoint) throw new PipelineError('CONFIG_INVALID', `There is no model ${name}: \`./undertone models\` lists them.`);
  if (!checkpoint.complete) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `${name} was saved in the middle of a round, and was not scored. \`./undertone models\` lists those whose round has finished.`,
    );
  }
  return checkpoint;
}
