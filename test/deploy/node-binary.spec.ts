/** Checks `deploy/embedded/node/packages.json`: the package of Node 22 for each platform, with its sha512. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '#service/package-root.js';

interface Pinned {
  name: string;
  version: string;
  integrity: string;
}

const packages = JSON.parse(readFileSync(join(packageRoot, 'deploy/embedded/node/packages.json'), 'utf8')) as Record<string, Pinned>;
const { devDependencies } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { devDependencies: { node: string } };

test.each(['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'win32-x64'])('has a sha512 of Node 22 for %s', (platform) => {
  const { name, version, integrity } = packages[platform] ?? { name: '', version: '', integrity: '' };
  expect(Buffer.from(integrity.replace(/^sha512-/, ''), 'base64')).toHaveLength(64);
  expect(version.split('.')[0]).toBe('22');
  const [system = '', processor = ''] = platform.replace('win32', 'win').split('-');
  expect(name).toMatch(new RegExp(`^node-(bin-)?${system}-${processor}$`));
});

test('names the version of package.json for the platforms that tests run on', () => {
  expect(packages['linux-x64']?.version).toBe(devDependencies.node);
  expect(packages['linux-arm64']?.version).toBe(devDependencies.node);
});
