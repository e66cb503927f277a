import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { errorCodes } from '#contracts/pipeline-error.js';
import { packageRoot } from '#service/package-root.js';

it('docs/operations.md has one row for each error code, and none for others', () => {
  const page = readFileSync(join(packageRoot, 'docs', 'operations.md'), 'utf8');
  const section = page.slice(page.indexOf('## Error codes'), page.indexOf('## Dead letters'));
  const described = [...section.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code = '']) => code);
  expect(described.sort()).toEqual(Object.keys(errorCodes).sort());
});
