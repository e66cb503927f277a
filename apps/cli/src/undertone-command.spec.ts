import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { alignedTable } from './results.js';
import { print, printAside, printJson, printLine, printSetup } from './undertone-command.js';

/** Clears the screen, claims success on a line of its own, and turns the rest of the name round. */
const key = 'corpora/a\u001b[2J\r\n✓ all good\u202egnp.wav\u2066\0';
const shown = String.raw`corpora/a\u001b[2J\r\n✓ all good\u202egnp.wav\u2066\u0000`;

let written = '';
beforeEach(() => {
  written = '';
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      written += String(text);
      return true;
    });
  }
});
afterEach(() => {
  vi.restoreAllMocks();
});

test.each([
  ['a line', () => printLine(`✗ ${key}`), `✗ ${shown}\n`],
  ['a line beside the output', () => printAside(`! ${key}`), `! ${shown}\n`],
  ['a line of the set-up', () => printSetup(key), `✓ ${shown}\n`],
  ['text of several lines', () => print(`a\u001b[2J\nb`), 'a\\u001b[2J\nb\n'],
])('shows what a terminal would act on in %s', (_what, act, expected) => {
  act();
  expect(written).toBe(expected);
});

test('shows it in a table, whose columns stay aligned', () => {
  print(
    alignedTable(
      ['key', 'n'],
      [
        [key, '1'],
        ['b', '2'],
      ],
    ),
  );
  const lines = written.trimEnd().split('\n');
  expect(lines).toHaveLength(4);
  expect(lines[2]).toBe(`  ${shown}   1`);
  expect(lines[3]).toBe(`  ${'b'.padEnd(shown.length)}   2`);
});

test('shows it in JSON, which reads back as it was', () => {
  printJson({ key });
  expect(written).not.toMatch(/[\u001b\r\u202e]/);
  expect(JSON.parse(written)).toEqual({ key });
});
