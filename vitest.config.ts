import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** `#lib/file.js` is `libs/lib/src/file.ts` in tests, so that they never run a stale build. */
export const sourceOfLibs = {
  find: /^#([\w-]+)\/(.+)\.js$/,
  replacement: `${fileURLToPath(new URL('.', import.meta.url))}libs/$1/src/$2.ts`,
};

export default defineConfig({
  resolve: { alias: [sourceOfLibs] },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['apps/**/*.spec.ts', 'libs/**/*.spec.ts', 'deploy/**/*.spec.ts', 'test/{golden,deploy}/**/*.spec.ts'],
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
          include: ['test/{integration,chaos,browser}/**/*.spec.ts'],
          globalSetup: ['test/embedded-stack.ts'],
          testTimeout: 240_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
