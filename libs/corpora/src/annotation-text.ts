/**
 * Decodes an annotation file, whatever program saved it: UTF-8; UTF-16, as Excel's "Unicode text" and PowerShell write it;
 * or Windows-1252, as Excel's "CSV" writes it in western Europe.
 *
 * Does not promise to tell other single-byte encodings from Windows-1252: no byte says which one it is.
 */
export interface AnnotationText {
  text: string;
  /** Set if the decoder had to guess the encoding. */
  warning?: string;
}

/** @param file its name, for the warning */
export function decodeAnnotation(file: string, bytes: Uint8Array): AnnotationText {
  const utf16 = utf16Of(bytes);
  if (utf16) return { text: new TextDecoder(utf16).decode(bytes) };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return {
      text: decodeWindows1252(bytes),
      warning: `${file} is not UTF-8, so it was read as Windows-1252. Save it as UTF-8 if names look wrong.`,
    };
  }
}

/** A byte order mark shows UTF-16. Without a mark, a NUL byte beside the first letter does. */
function utf16Of([first, second]: Uint8Array): 'utf-16le' | 'utf-16be' | null {
  if (first === undefined || second === undefined) return null;
  if ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0)) return 'utf-16le';
  if ((first === 0xfe && second === 0xff) || (first === 0 && second !== 0)) return 'utf-16be';
  return null;
}

/** Characters of the bytes 0x80 to 0x9f, where Windows-1252 differs from Latin-1. Some Node versions decode these as Latin-1. */
const windowsLetters = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';

function decodeWindows1252(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    .toString('latin1')
    .replace(/[\u0080-\u009f]/g, (letter) => windowsLetters[letter.charCodeAt(0) - 0x80] ?? letter);
}
