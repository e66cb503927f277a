import { join } from 'node:path';
import { packageRoot } from '#service/package-root.js';

/** Absolute path of a committed file below `deploy/embedded/`, such as a pom, a lock file or a configuration. */
export function assetPath(...segments: string[]): string {
  return join(packageRoot, 'deploy', 'embedded', ...segments);
}
