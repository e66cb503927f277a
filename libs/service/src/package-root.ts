/** Finds the folder of package.json, which holds the uncompiled files that the program reads at run time. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findPackageRoot(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from)
    throw new Error('There is no package.json in any folder above the program. Run it from a complete checkout or package.');
  return findPackageRoot(parent);
}

export const packageRoot = findPackageRoot(dirname(fileURLToPath(import.meta.url)));

/** The version in package.json. */
export const codeVersion = (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version;
