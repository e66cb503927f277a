import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root, seen from `libs/` (tests) as well as from `dist/libs/` (run time). */
export const repositoryRoot: string = findRoot(dirname(fileURLToPath(import.meta.url)));

/** Absolute path of a committed file below `deploy/embedded/`: a pom, a lock file, a configuration. */
export function assetPath(...segments: string[]): string {
  return join(repositoryRoot, 'deploy', 'embedded', ...segments);
}

function findRoot(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'deploy', 'embedded', 'kafka', 'pom.xml'))) return folder;
    if (folder === dirname(folder)) throw new Error(`deploy/embedded not found above ${from}`);
  }
}
