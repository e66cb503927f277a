import { describe, expect, it } from 'vitest';
import { decodeAnnotation } from './annotation-text.js';

const text = 'path,speaker\nZürich €.wav,Zoë\n';
const utf16 = Buffer.from(text, 'utf16le');

describe('the text of an annotation file', () => {
  it.each([
    ['UTF-8', Buffer.from(text)],
    ['UTF-8 with a byte order mark', Buffer.from(`\ufeff${text}`)],
    ['UTF-16 LE with a byte order mark', Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['UTF-16 BE with a byte order mark', Buffer.from(`\ufeff${text}`, 'utf16le').swap16()],
    ['UTF-16 LE without one', utf16],
    ['UTF-16 BE without one', Buffer.from(utf16).swap16()],
  ])('is read as %s', (_encoding, bytes) => {
    expect(decodeAnnotation('manifest.csv', bytes)).toEqual({ text });
  });

  it('is read as Windows-1252, with a warning, if it is not UTF-8', () => {
    const bytes = Buffer.from('path,speaker\nZ\u00fcrich \u0080.wav,Zo\u00eb\n', 'latin1');
    const read = decodeAnnotation('manifest.csv', bytes);
    expect(read.text).toBe(text);
    expect(read.warning).toMatch(/^manifest\.csv is not UTF-8, so it was read as Windows-1252/);
  });

  it('may be empty', () => {
    expect(decodeAnnotation('manifest.csv', new Uint8Array())).toEqual({ text: '' });
  });
});
