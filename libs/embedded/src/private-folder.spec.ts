import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makePrivateFolder, writePrivateFile } from './private-folder.js';

const folder = mkdtempSync(join(tmpdir(), 'undertone-private-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

test('makes a folder that only its owner may read, and restricts an existing open one', () => {
  makePrivateFolder(join(folder, 'a', 'new'));
  mkdirSync(join(folder, 'open'));
  chmodSync(join(folder, 'open'), 0o755);
  makePrivateFolder(join(folder, 'open'));
  expect([modeOf(join(folder, 'a', 'new')), modeOf(join(folder, 'open'))]).toEqual(['700', '700']);
});

test('writes a file that only its owner may read, also over an existing open file', () => {
  const path = join(folder, 'keys.json');
  writeFileSync(path, 'old', { mode: 0o644 });
  writePrivateFile(path, 'new');
  expect([modeOf(path), readFileSync(path, 'utf8')]).toEqual(['600', 'new']);
});
