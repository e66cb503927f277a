import { expect, it } from 'vitest';
import { PipelineError } from '#contracts/pipeline-error.js';
import { problemOf } from './problem.js';

it('an error with a code gives that code, and the status of its kind', () => {
  expect(problemOf(new PipelineError('AUDIO_SILENT', 'silent'))).toEqual({
    ...{ type: 'about:blank', title: 'Unprocessable Entity', status: 422, detail: 'silent', code: 'AUDIO_SILENT' },
  });
  expect(problemOf(new PipelineError('MODEL_MISSING', 'none')).status).toBe(503);
});

it('an unexpected error tells the client nothing about itself', () => {
  expect(JSON.stringify(problemOf(new Error('corpora/secret/name.wav')))).not.toContain('secret');
});
