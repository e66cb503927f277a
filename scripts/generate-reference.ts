/** Writes docs/commands.md from the code. Run: `npm run reference`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '#service/package-root.js';
import { commandReference } from '../apps/cli/src/command-reference.js';

writeFileSync(join(packageRoot, 'docs', 'commands.md'), `${await commandReference()}\n`);
