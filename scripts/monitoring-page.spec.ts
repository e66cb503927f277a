import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '#service/package-root.js';

const textOf = (file: string): string => readFileSync(join(packageRoot, file), 'utf8');

it('docs/monitoring.md shows each metric that a service registers', () => {
  const page = textOf('docs/monitoring.md').replaceAll(/(\w+)\{([\w,]+)\}(_total)/g, (_all, before: string, parts: string, after: string) =>
    parts
      .split(',')
      .map((part) => `${before}${part}${after}`)
      .join(' '),
  );
  const registered = globSync('{apps,libs}/*/src/**/*.ts', { cwd: packageRoot })
    .filter((file) => !file.endsWith('.spec.ts'))
    .flatMap((file) => [...textOf(file).matchAll(/\bmetrics\s*\.(?:counter|gauge|gaugeOf|histogram)\(\s*'(\w+)'/g)])
    .map(([, name = '']) => name);
  expect(registered.length).toBeGreaterThan(50);
  expect(registered.filter((name) => !new RegExp(`_${name}(?!\\w)`).test(page))).toEqual([]);
});
