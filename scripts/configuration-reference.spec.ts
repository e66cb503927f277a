import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '#service/package-root.js';
import { configurationReference, notesOf, sections } from './configuration-reference.js';

const known = new Set(sections.flatMap(({ shape }) => Object.keys(shape)));

/** Variables of the machine that no one sets for Undertone. */
const notOurs = new Set(['PATH', 'VK_ICD_FILENAMES']);

const sources = globSync('{apps,libs,scripts,test,bench,deploy}/**/*.{ts,mjs}', { cwd: packageRoot }).map((file) => ({
  file,
  text: readFileSync(join(packageRoot, file), 'utf8'),
}));

it('is what docs/configuration.md shows', () => {
  const stale = 'docs/configuration.md is stale. Run: npm run reference';
  expect(readFileSync(join(packageRoot, 'docs', 'configuration.md'), 'utf8'), stale).toBe(`${configurationReference()}\n`);
});

it('has a description of each variable', () => {
  const mute = sections.flatMap(({ shape }) =>
    Object.entries(shape).flatMap(([name, schema]) => (notesOf(schema).description ? [] : [name])),
  );
  expect(mute, 'add .describe(…) to these').toEqual([]);
});

it('knows each variable that the code reads by name', () => {
  const read =
    /\b(?:process\.env|environment|env|caller)(?:\?\.|\.)?(?:\['|\b)([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|PATH|MVN|PYTHON|CXX|TMPDIR)\b/g;
  const strange = sources.flatMap(({ file, text }) =>
    [...text.matchAll(read)].flatMap(([, name = '']) => (known.has(name) || notOurs.has(name) ? [] : [`${name} in ${file}`])),
  );
  expect(strange, 'add these to a shape that scripts/configuration-reference.ts shows').toEqual([]);
});

it('knows each shape, since readConfig is given a named one', () => {
  const inline = sources.filter(({ file, text }) => !file.endsWith('.spec.ts') && /\breadConfig\(\s*\{(?!\s*\.\.\.)/.test(text));
  expect(inline.map(({ file }) => file)).toEqual([]);
});

it('shows default, demo value and unit', () => {
  const page = configurationReference();
  expect(page).toMatch(/\| `ROUND_QUIET` \| 10 \| 6 \| seconds \|/);
  expect(page).toMatch(/\| `MODEL_SETTINGS_FILE` \| the preset's network \| `samples\/model.json` \|/);
  expect(page).toMatch(/\| `API_TOKEN` \| – \|/);
});
