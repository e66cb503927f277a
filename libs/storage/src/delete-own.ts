/** Deletes an object of the pipeline. All deletions go through here, so that no record can name a foreign key for deletion. */
import { isOwnObject, type OwnObject } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Objects } from './object-store.js';

/** @throws PipelineError OBJECT_KEY_INVALID for the key of a recording, or of any other object that is not of this kind */
export async function deleteOwn(store: Pick<Objects, 'delete'>, key: string, kind: OwnObject): Promise<void> {
  if (!isOwnObject(key, kind))
    throw new PipelineError(
      'OBJECT_KEY_INVALID',
      `${JSON.stringify(key)} was not deleted: it is not the key of an object of kind ${kind}, which the pipeline makes`,
    );
  await store.delete(key);
}
