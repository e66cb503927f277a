import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '#service/package-root.js';
import { commandReference } from './command-reference.js';

it('docs/commands.md matches the descriptions of the commands', async () => {
  const stale = 'docs/commands.md is stale. Run: npm run reference';
  expect(readFileSync(join(packageRoot, 'docs', 'commands.md'), 'utf8'), stale).toBe(`${await commandReference()}\n`);
});

it('shows the options and the example of a command', async () => {
  const page = await commandReference();
  const put = page.slice(page.indexOf('## put'), page.indexOf('## train'));
  expect(put).toContain('./undertone put <dir> [options]');
  expect(put).toMatch(/`-c, --corpus <name>` \| .+ \(required\)/);
  expect(put).toContain('./undertone put ~/recordings --corpus calls --dry-run');
});
