import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '#service/package-root.js';

const pages = globSync(['*.md', 'docs/*.md', 'samples/*.md'], { cwd: packageRoot });
const textOf = (page: string): string => readFileSync(join(packageRoot, page), 'utf8');

/** As GitHub makes them: lower case, letters, digits and hyphens. */
const anchorsOf = (page: string): string[] =>
  [...textOf(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

it.each(pages)('%s links to files and headings that exist', (page) => {
  const links = [...textOf(page).matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)/g)];
  const broken = links.flatMap(([link, path = '', anchor]) => {
    const target = path === '' ? page : join(dirname(page), path);
    if (!existsSync(join(packageRoot, target))) return [link];
    return anchor && target.endsWith('.md') && !anchorsOf(target).includes(anchor) ? [link] : [];
  });
  expect(broken).toEqual([]);
});
