/** A file that somebody named on the command line. */
import { readFileSync } from 'node:fs';
import { PipelineError } from '#contracts/pipeline-error.js';

/** @throws PipelineError CONFIG_INVALID if it cannot be read */
export function readAudioFile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new PipelineError('CONFIG_INVALID', `${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`, {
      cause: error,
    });
  }
}
