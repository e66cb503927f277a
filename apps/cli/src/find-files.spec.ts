import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findFiles } from './find-files.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'undertone-find-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function file(path: string | Buffer, content = 'x'): void {
  const place = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path)]);
  mkdirSync(dirname(place.toString()), { recursive: true });
  writeFileSync(place, content);
}

it('finds all files in order, except hidden ones', () => {
  for (const path of ['b.wav', 'a/c.wav', 'a/.hidden.wav', '.git/x.wav', 'ü\u0301 \ufffe\n.wav']) file(path, 'four');
  symlinkSync(join(folder, 'b.wav'), join(folder, 'link.wav'));
  expect(findFiles(folder)).toEqual({
    files: ['a/c.wav', 'b.wav', 'link.wav', 'ü\u0301 \ufffe\n.wav'].map((path) => ({ path, sizeBytes: 4 })),
    unusable: [],
    passedOver: [],
  });
});

it('reports a file whose name is not UTF-8, and finds the others', () => {
  file(Buffer.from('Z\u00fcrich.wav', 'latin1'));
  file('ok.wav');
  const { files, unusable } = findFiles(folder);
  expect(files.map(({ path }) => path)).toEqual(['ok.wav']);
  expect(unusable).toEqual([{ path: 'Z\\xfcrich.wav', why: expect.stringContaining('not UTF-8') }]);
});

it('reports links to nothing and circular links, and follows no link to a folder', () => {
  file('a/ok.wav');
  symlinkSync('nothing', join(folder, 'lost.wav'));
  symlinkSync('circle.wav', join(folder, 'circle.wav'));
  symlinkSync('..', join(folder, 'a/up'));
  const { files, unusable, passedOver } = findFiles(folder);
  expect(files.map(({ path }) => path)).toEqual(['a/ok.wav']);
  expect(unusable.map(({ path }) => path).sort()).toEqual(['circle.wav', 'lost.wav']);
  expect(passedOver).toEqual([{ path: 'a/up', why: 'it is a link to a folder' }]);
});

it('skips a pipe', () => {
  execFileSync('mkfifo', [join(folder, 'pipe.wav')]);
  expect(findFiles(folder)).toEqual({
    files: [],
    unusable: [],
    passedOver: [{ path: 'pipe.wav', why: expect.stringContaining('a pipe') }],
  });
});

it.skipIf(process.getuid?.() === 0)('reports a folder that it may not read', () => {
  file('closed/a.wav');
  chmodSync(join(folder, 'closed'), 0);
  expect(findFiles(folder).unusable).toEqual([{ path: 'closed/', why: expect.stringContaining('EACCES') }]);
  chmodSync(join(folder, 'closed'), 0o700);
});
