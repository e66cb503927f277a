import { defineConfig } from 'vitest/config';
import { sourceOfLibs } from './vitest.config.js';

/** `npm run test:containers`: what needs a container engine. `npm test` does without. */
export default defineConfig({
  resolve: { alias: [sourceOfLibs] },
  test: {
    name: 'containers',
    include: ['test/containers/**/*.spec.ts'],
    globalSetup: ['test/containers/engine.ts'],
    testTimeout: 240_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
