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

export default defineConfig({
  resolve: { alias: [sourceOfLibs] },
  test: {
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
          testTimeout: 60_000,
          // One core is left free by default: of two, half.
          maxWorkers: Math.max(2, availableParallelism() - 1),
          sequence: { groupOrder: 0 },
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
          // They share one broker and one store; each has its own topics and bucket. Most of their time they wait.
          maxWorkers: Math.max(3, availableParallelism()),
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
