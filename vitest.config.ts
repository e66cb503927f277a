import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** `#lib/file.js` is `libs/lib/src/file.ts` in tests, so that they never run a stale build. */
export const sourceOfLibs = {
  find: /^#([\w-]+)\/(.+)\.js$/,
  replacement: `${fileURLToPath(new URL('.', import.meta.url))}libs/$1/src/$2.ts`,
};

/** Specs that take a minute and more: `npm run test:slow`. */
const slow = '**/*.slow.spec.ts';

/**
 * Specs at a time, of both projects together. Integration specs come first and wait half of their time, so two cores carry four.
 * The unit specs fill the end.
 */
const maxWorkers = Math.max(4, availableParallelism());

export default defineConfig({
  resolve: { alias: [sourceOfLibs] },
  test: {
    // A busy machine takes longer than the second that vitest waits by default.
    expect: { poll: { timeout: 20_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [
            'apps/**/*.spec.ts',
            'libs/**/*.spec.ts',
            'scripts/**/*.spec.ts',
            'deploy/**/*.spec.ts',
            'test/{golden,deploy}/**/*.spec.ts',
          ],
          exclude: [slow],
          // Four at a time share two cores with brokers and services.
          testTimeout: 180_000,
          // Starting a process and loading the libraries for each of two hundred files cost more than most of the tests do.
          isolate: false,
          maxWorkers,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/{integration,browser,fuzz}/**/*.spec.ts'],
          exclude: [slow],
          globalSetup: ['test/embedded-stack.ts'],
          testTimeout: 240_000,
          hookTimeout: 120_000,
          // They share one broker and one store; each has its own topics and bucket.
          maxWorkers,
        },
      },
    ],
  },
});
