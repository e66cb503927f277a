/**
 * Text from outside, made safe to print: keys, names and messages may hold ANSI escapes that rewrite a terminal, line breaks
 * that forge lines, and bidi marks that turn a name round. Each such character becomes an escape that a person can read.
 *
 * The result is for people. It cannot be turned back: a back slash stays one back slash, so that paths stay readable.
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

/** Text of several lines, such as a stack: its `\n` stay, all else is as in `printable`. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

function escapeOf(character: string): string {
  const code = character.codePointAt(0)?.toString(16) ?? '';
  return named.get(character) ?? (code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`);
}
