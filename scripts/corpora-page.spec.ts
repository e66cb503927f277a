import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { corpusReaders } from '#corpora/corpus-readers.js';
import { packageRoot } from '#service/package-root.js';

it('docs/corpora.md shows each reader and how it cuts silence', () => {
  const page = readFileSync(join(packageRoot, 'docs', 'corpora.md'), 'utf8');
  const shown = [...page.matchAll(/^\| `([a-z-]+)` \|.*\| (none|ends|all) \|$/gm)].map(([, name, silence]) => ({ name, silence }));
  expect(shown).toEqual(corpusReaders.map(({ name, silence }) => ({ name, silence })));
});
