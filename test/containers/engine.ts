/**
 * Searches a container engine before the containers suite. Without one the suite is skipped with a visible message, or fails if
 * REQUIRE_CONTAINERS=1 is set.
 */
import { spawnSync } from 'node:child_process';
import { getContainerRuntimeClient } from 'testcontainers';
import type { TestProject } from 'vitest/node';

/** Finds `docker compose`, or the older `docker-compose` of Debian 12. */
export type Compose = 'plugin' | 'standalone';

declare module 'vitest' {
  interface ProvidedContext {
    hasEngine: boolean;
    compose: Compose | null;
  }
}

export default async function findEngine({ provide }: TestProject): Promise<void> {
  const absence = await whyNoEngine();
  const compose = absence === null ? findCompose() : null;
  if (absence !== null) announce(`No container engine: ${absence}`);
  else if (compose === null) announce('No Compose: install docker-compose, or the plugin of `docker compose`');
  provide('hasEngine', absence === null);
  provide('compose', compose);
}

async function whyNoEngine(): Promise<string | null> {
  try {
    await getContainerRuntimeClient();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

function findCompose(): Compose | null {
  const answers = (command: string, ...words: string[]): boolean => spawnSync(command, [...words, 'version']).status === 0;
  if (answers('docker', 'compose')) return 'plugin';
  return answers('docker-compose') ? 'standalone' : null;
}

/** @throws if containers are required */
function announce(absence: string): void {
  const consequence = 'the tests that need it are SKIPPED (REQUIRE_CONTAINERS=1 makes this an error)';
  if (process.env['REQUIRE_CONTAINERS'] === '1')
    throw new Error(`${absence}. REQUIRE_CONTAINERS=1 requires it: start an engine or unset the variable.`);
  console.warn(`\n${'!'.repeat(100)}\n! ${absence}\n! ${consequence}\n${'!'.repeat(100)}\n`);
}
