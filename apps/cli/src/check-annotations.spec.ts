import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { annotationWarnings } from './check-annotations.js';
import { fileWarnings, planPut } from './plan-put.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'undertone-check-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** Writes the files. @returns the warnings about them */
function warningsOf(files: Record<string, string | Uint8Array>, reader?: string): string[] {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return annotationWarnings(folder, planPut(Object.keys(files), reader), reader);
}

it('warns of rows that match no recording, with counts and the first three', () => {
  const rows = [1, 2, 3, 4, 5].map((n) => `elsewhere/${n}.wav,sad\n`).join('');
  const files = { 'manifest.csv': `path,emotion\naudio/a.wav,sad\n${rows}`, 'audio/a.wav': 'x' };
  expect(warningsOf(files)).toEqual([
    '5 of 6 rows match no recording, so their labels are not used: manifest.csv, row 2: "elsewhere/1.wav", manifest.csv, row 3: "elsewhere/2.wav", manifest.csv, row 4: "elsewhere/3.wav", …',
  ]);
  // The recordings may be in the archive, or come later.
  expect(warningsOf({ ...files, 'more.zip': 'x' })).toEqual([]);
  expect(warningsOf({ 'manifest.csv': files['manifest.csv'] })).toEqual([]);
});

it('names the recording that a row with an unusual path matches', () => {
  expect(warningsOf({ 'manifest.csv': 'path,emotion\naudio\\a.wav,sad\n', 'audio/a.wav': 'x' })).toEqual([
    '1 of 1 rows spell the path of a recording in another way, and their labels are used: manifest.csv, row 1: "audio\\\\a.wav" is taken for "audio/a.wav"',
  ]);
});

it("warns of emotions outside the four classes, unless the folder's corpus.json maps them", () => {
  const files = { 'manifest.csv': 'path,emotion\na.wav,furious\n', 'a.wav': 'x' };
  expect(warningsOf(files)).toEqual(['annotations that give no label: 1 × emotion furious is not one of the four']);
  expect(warningsOf({ ...files, 'corpus.json': '{"labels": {"furious": "angry"}}' })).toEqual([]);
});

it('warns of rows and annotation files that ingest will refuse', () => {
  const files = { 'manifest.csv': 'path,split\na.wav,tset\n', 'a.wav': 'x' };
  expect(warningsOf(files)).toEqual([
    expect.stringMatching(/^ingest will refuse 1 recording because of their rows: manifest.csv, row 1: split "tset"/),
  ]);
  expect(warningsOf({ ...files, 'corpus.json': '{"labels": []}' })).toEqual([
    expect.stringMatching(/^ingest will refuse these annotations: corpus.json: labels/),
  ]);
  rmSync(join(folder, 'corpus.json'));
  expect(warningsOf({ 'manifest.csv': 'file\na.wav\n', 'a.wav': 'x' })).toEqual([
    expect.stringMatching(/^ingest will refuse these annotations: manifest.csv has no path column/),
  ]);
});

it('warns of files without bytes, of Git LFS pointers, and of skipped paths', () => {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 72862\n`;
  writeFileSync(join(folder, 'lfs.wav'), pointer);
  writeFileSync(join(folder, 'empty.wav'), '');
  const sizes = new Map([
    ['lfs.wav', pointer.length],
    ['empty.wav', 0],
  ]);
  expect(fileWarnings(folder, [...sizes.keys()], { sizes, passedOver: [{ path: 'p', why: 'it is a pipe' }] })).toEqual([
    '1 file has no bytes: empty.wav',
    '1 file is a Git LFS pointer: fetch the content first, with git lfs pull: lfs.wav',
    '1 path is skipped, such as p: it is a pipe',
  ]);
});
