/**
 * Makes text from outside safe to print. Keys, names and messages may hold ANSI escapes that rewrite a terminal, line breaks
 * that forge lines, and bidi marks that reverse a name. Each such character becomes an escape that a person can read.
 *
 * The result is for people. It cannot be reversed: a backslash stays one backslash, so that paths stay readable.
 */

/**
 * Control characters (C0, DEL, C1), line and paragraph separators, every invisible format character (bidi marks, zero-width
 * spaces, tags) and lone surrogates. The zero-width joiners of Indic scripts, Persian and emoji are text, and stay.
 */
const unprintable = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const named: ReadonlyMap<string, string> = new Map([
  ['\n', String.raw`\n`],
  ['\r', String.raw`\r`],
  ['\t', String.raw`\t`],
]);

/** One line of text: a line break in it becomes `\n`, ESC becomes `\u001b`. */
export function printable(text: string): string {
  return text.replace(unprintable, escapeOf);
}

/** Text of several lines, such as a stack trace. Line breaks stay; all else is as in `printable`. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** JSON that is safe in a terminal and reads back as the same value in a script. */
export function printableJson(value: unknown): string {
  // Outside strings, JSON holds only line breaks and spaces. Inside strings, each unprintable character may be an escape.
  return JSON.stringify(value, null, 2).replace(unprintable, (character) => (character === '\n' ? character : unitsOf(character)));
}

function unitsOf(character: string): string {
  return character.replace(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function escapeOf(character: string): string {
  const code = character.codePointAt(0)?.toString(16) ?? '';
  return named.get(character) ?? (code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`);
}
