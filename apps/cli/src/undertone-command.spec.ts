import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { alignedTable } from './results.js';
import { print, printAside, printJson, printLine, printSetup } from './undertone-command.js';

/** A hostile name: it clears the screen, forges a success line, and reverses the rest of the text. */
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
])('escapes control characters in %s', (_what, act, expected) => {
  act();
  expect(written).toBe(expected);
});

test('escapes control characters in a table, whose columns stay aligned', () => {
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

test('escapes control characters in JSON, which parses to the same value', () => {
  printJson({ key });
  expect(written).not.toMatch(/[\u001b\r\u202e]/);
  expect(JSON.parse(written)).toEqual({ key });
});
