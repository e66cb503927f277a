import { defineConfig } from 'vitest/config';
import { sourceOfLibs } from './vitest.config.js';

/** `npm run test:slow`: chaos, training to the end, and the other specs that take a minute and more, one after another. */
export default defineConfig({
  resolve: { alias: [sourceOfLibs] },
  test: {
    name: 'slow',
    include: ['{apps,libs,test}/**/*.slow.spec.ts'],
    globalSetup: ['test/embedded-stack.ts'],
    testTimeout: 300_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
