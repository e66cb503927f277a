/** Runs the suite on `deploy/compose.yaml`, with the services in containers of the released image. */
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
      it.each<ServiceName>(['ingest', 'features', 'trainer', 'evaluator', 'predictor'])(
        '%s is not root and cannot change its image',
        async (service) => {
          const container = started().containerOf(service);
          expect((await container.exec(['id', '-u'])).output.trim()).toBe('10001');
          // Folders that are world-writable by default.
          const { output } = await container.exec(['touch', '/tmp/anything']);
          expect(output).toMatch(/read-only file system/i);
        },
      );

      it('reaches the stack with the command inside the image', async () => {
        const { exitCode, output } = await started().containerOf('ingest').exec(['undertone', 'status', '--json']);
        expect(exitCode, output).toBe(0);
      });

      it('decodes MP3, because the image has ffmpeg', async () => {
        const { exitCode, output } = await started().containerOf('features').exec(['ffmpeg', '-version']);
        expect(exitCode, output).toBe(0);
      });
    },
  ),
);
