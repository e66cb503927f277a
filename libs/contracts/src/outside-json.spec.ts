import { describe, expect, it } from 'vitest';
import { parseOutsideJson, usualMaxDepth, utf8Length } from './outside-json.js';
import { PipelineError } from './pipeline-error.js';

const limits = { maxBytes: 1_000_000, maxDepth: usualMaxDepth };
const refusal = (call: () => unknown): PipelineError => {
  try {
    call();
  } catch (error) {
    if (error instanceof PipelineError) return error;
    throw error;
  }
  throw new Error('parseOutsideJson accepted the text');
};

describe('parseOutsideJson', () => {
  it('reads JSON from a text and from UTF-8 bytes', () => {
    expect(parseOutsideJson('{"a":[1,"ü"]}', limits)).toEqual({ a: [1, 'ü'] });
    expect(parseOutsideJson(Buffer.from('{"a":[1,"ü"]}'), limits)).toEqual({ a: [1, 'ü'] });
  });

  it('ignores a byte order mark', () => {
    expect(parseOutsideJson(Buffer.from('\ufeff{"a":1}'), limits)).toEqual({ a: 1 });
  });

  it.each([
    ['arrays', '['.repeat(200_000) + ']'.repeat(200_000)],
    ['arrays that are never closed', '['.repeat(200_000)],
    ['objects', '{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000)],
  ])('refuses %s that lie too deep in each other, without running out of stack', (_kind, text) => {
    expect(refusal(() => parseOutsideJson(text, limits))).toMatchObject({ code: 'RECORD_INVALID' });
    expect(refusal(() => parseOutsideJson(Buffer.from(text), limits))).toMatchObject({ code: 'RECORD_INVALID' });
  });

  it('allows exactly the depth of the limit', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(() => parseOutsideJson(nested(5), { ...limits, maxDepth: 5 })).not.toThrow();
    expect(() => parseOutsideJson(nested(6), { ...limits, maxDepth: 5 })).toThrow('more than 5 deep');
  });

  it('does not count brackets inside strings', () => {
    const text = JSON.stringify({ note: `"\\${'['.repeat(1_000)}` });
    expect(parseOutsideJson(text, limits)).toEqual({ note: `"\\${'['.repeat(1_000)}` });
  });

  it('measures the size in bytes for both text and bytes', () => {
    const text = JSON.stringify('ü'.repeat(10));
    expect(() => parseOutsideJson(text, { ...limits, maxBytes: 22 })).not.toThrow();
    expect(() => parseOutsideJson(text, { ...limits, maxBytes: 21 })).toThrow('has 22 bytes');
    expect(() => parseOutsideJson(Buffer.from(text), { ...limits, maxBytes: 21 })).toThrow('has 22 bytes');
  });

  it.each([
    ['no JSON', Buffer.from('{')],
    ['nothing', Buffer.alloc(0)],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
  ])('refuses %s with the code and the noun that the caller gives', (_kind, bytes) => {
    const error = refusal(() => parseOutsideJson(bytes, { ...limits, code: 'MANIFEST_INVALID', noun: 'manifest.jsonl, line 3' }));
    expect(error.code).toBe('MANIFEST_INVALID');
    expect(error.message).toContain('manifest.jsonl, line 3 is not JSON');
  });
});

describe('utf8Length', () => {
  it.each(['', 'a', 'ü', '€', '😀', 'a😀ü', '\ud800', '\udc00\ud800x'])('agrees with the encoder for %j', (text) => {
    expect(utf8Length(text)).toBe(Buffer.byteLength(text));
  });
});
