/** The one way in which the pipeline deletes an object: by a key of its own state, never by one that only a record names. */
import { isOwnObject, type OwnObject } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { Objects } from './object-store.js';

/** @throws PipelineError OBJECT_KEY_INVALID for the key of a recording, or of anything else that is not of that kind */
export async function deleteOwn(store: Pick<Objects, 'delete'>, key: string, kind: OwnObject): Promise<void> {
  if (!isOwnObject(key, kind))
    throw new PipelineError(
      'OBJECT_KEY_INVALID',
      `${JSON.stringify(key)} is not deleted: it is not the key of an object of the kind ${kind}, which the pipeline makes`,
    );
  await store.delete(key);
}
