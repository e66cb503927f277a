/** The suite on `deploy/compose.yaml`: the services in containers of the image that people use. */
import { describe, expect, inject, it } from 'vitest';
import type { ServiceName } from '../integration/running-pipeline.js';
import { describePipeline } from '../pipeline-suite.js';
import { startCompose } from './compose-pipeline.js';

const version = inject('compose') ?? 'plugin';

describe.skipIf(inject('compose') === null)('compose', () =>
  describePipeline(
    'the whole way with Compose',
    () => startCompose(version),
    (started) => {
      it.each<ServiceName>(['ingest', 'features', 'trainer', 'evaluator'])(
        '%s is not root and cannot change its image',
        async (service) => {
          const container = started().containerOf(service);
          expect((await container.exec(['id', '-u'])).output.trim()).toBe('10001');
          // Where anybody might write otherwise.
          const { output } = await container.exec(['touch', '/tmp/anything']);
          expect(output).toMatch(/read-only file system/i);
        },
      );

      it('the command inside the image sees the stack', async () => {
        const { exitCode, output } = await started().containerOf('ingest').exec(['undertone', 'status', '--json']);
        expect(exitCode, output).toBe(0);
      });

      it('MP3 decodes: the image has its ffmpeg', async () => {
        const { exitCode, output } = await started().containerOf('features').exec(['ffmpeg', '-version']);
        expect(exitCode, output).toBe(0);
      });
    },
  ),
);
