/**
 * Limits the memory of bodies that are being received and worked on. A body counts with the length that it states, or with the
 * largest length if it states none, from before it is read until its answer is sent.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PipelineError } from '#contracts/pipeline-error.js';
import { answerProblem, problemOf } from './problem.js';

export function admitBodies({ maxBytes, memoryBytes }: { maxBytes: number; memoryBytes: number }) {
  let held = 0;
  return (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    const stated = request.headers['content-length'];
    const hasBody = stated !== undefined || request.headers['transfer-encoding'] !== undefined;
    const sizeBytes = hasBody ? Math.min(maxBytes, stated === undefined ? maxBytes : Number(stated)) : 0;
    if (held > 0 && held + sizeBytes > memoryBytes) {
      const busy = new PipelineError('PREDICTOR_BUSY', 'Other files fill the memory of PREDICT_MEMORY_MB. Send this one again later.');
      return answerProblem(response, problemOf(busy));
    }
    held += sizeBytes;
    response.once('close', () => (held -= sizeBytes));
    next();
  };
}
