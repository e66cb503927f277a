import { expect, test } from 'vitest';
import { printable, printableJson, printableLines } from './printable.js';

test.each([
  ['an ANSI escape that clears the screen', 'a\u001b[2J\u001b[31mb', String.raw`a\u001b[2J\u001b[31mb`],
  ['an ANSI escape of one C1 character', 'a\u009b2Jb', String.raw`a\u009b2Jb`],
  ['a carriage return that overwrites the line', 'failed\rdone', String.raw`failed\rdone`],
  ['a line break that forges a line', 'a\n✓ all good', String.raw`a\n✓ all good`],
  ['a tab', 'a\tb', String.raw`a\tb`],
  ['NUL, BEL, backspace and DEL', '\0\u0007\b\u007f', String.raw`\u0000\u0007\u0008\u007f`],
  ['a right-to-left override', 'invoice\u202egpj.wav', String.raw`invoice\u202egpj.wav`],
  ['a bidi isolate', 'a\u2066b\u2069', String.raw`a\u2066b\u2069`],
  ['other marks of direction', '\u200e\u200f\u061c', String.raw`\u200e\u200f\u061c`],
  ['separators of lines and paragraphs', 'a\u2028b\u2029c', String.raw`a\u2028b\u2029c`],
  ['characters that nobody sees', 'a\u200b\ufeff\u{e0041}b', String.raw`a\u200b\ufeff\u{e0041}b`],
  ['half a surrogate pair', 'a\ud800b', String.raw`a\ud800b`],
])('escapes %s', (_what, given, shown) => {
  expect(printable(given)).toBe(shown);
});

test.each(['corpora/größe/日本語/файл.wav', 'שלום.wav', 'می\u200cخواهم', '👩\u200d🔬', String.raw`C:\speech\a.wav`, 'a b', ''])(
  'leaves %s unchanged',
  (text) => {
    expect(printable(text)).toBe(text);
  },
);

test('keeps the lines of a stack, and escapes the rest of each', () => {
  expect(printableLines('Error: \u001b[2J\n    at a\r\n    at b')).toBe('Error: \\u001b[2J\n    at a\\r\n    at b');
});

test('writes JSON that shows every character that a terminal would act on, and reads back as the same', () => {
  const value = { 'a\u202ekey': ['\u001b[2J', 'a\nb', '\u009b', '\u{e0041}', '\u2028', 'größe', '\\u202e'] };
  const text = printableJson(value);
  expect(text).not.toMatch(/[\p{Cf}\p{Zl}\u0000-\u0009\u000b-\u001f\u007f-\u009f]/u);
  expect(text).toContain('größe');
  expect(JSON.parse(text)).toEqual(value);
});
