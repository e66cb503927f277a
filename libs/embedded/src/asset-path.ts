import { join } from 'node:path';
import { packageRoot } from '#service/package-root.js';

/** Absolute path of a committed file below `deploy/embedded/`: a pom, a lock file, a configuration. */
export function assetPath(...segments: string[]): string {
  return join(packageRoot, 'deploy', 'embedded', ...segments);
}
