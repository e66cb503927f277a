/** Writes docs/commands.md and docs/configuration.md from the code. Run: `npm run reference`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '#service/package-root.js';
import { commandReference } from '../apps/cli/src/command-reference.js';
import { configurationReference } from './configuration-reference.js';

writeFileSync(join(packageRoot, 'docs', 'commands.md'), `${await commandReference()}\n`);
writeFileSync(join(packageRoot, 'docs', 'configuration.md'), `${configurationReference()}\n`);
