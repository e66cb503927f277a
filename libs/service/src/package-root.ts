/** The folder of package.json: where files that are read at run time, and not compiled, are found. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findPackageRoot(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error('there is no package.json above the program');
  return findPackageRoot(parent);
}

export const packageRoot = findPackageRoot(dirname(fileURLToPath(import.meta.url)));

/** As package.json has it. */
export const codeVersion = (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version;
