import { expect, test } from 'vitest';
import { readSafetensors, writeSafetensors } from './safetensors.js';

/** Two tensors, saved by the reference implementation in Python (0.8.0), which sorts them by name. */
const fromPython = Buffer.from(
  'mAAAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJtYWRlIjoiYnkgcHl0aG9uIn0sImEiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzFdLCJkYXRhX29mZnNldHMiOlswLDRdfSwiYiI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbMiwyXSwiZGF0YV9vZmZzZXRzIjpbNCwyMF19fSAgICAgIAAA4EAAAMA/AAAAwAAAAAAAAFBA',
  'base64',
);
const tensors = [
  { name: 'a', shape: [1], values: Float32Array.of(7) },
  { name: 'b', shape: [2, 2], values: Float32Array.of(1.5, -2, 0, 3.25) },
];

test('reads and writes what the reference implementation does, byte for byte', () => {
  expect(readSafetensors(fromPython)).toEqual(tensors);
  expect(Buffer.from(writeSafetensors(tensors, { made: 'by python' })).equals(fromPython)).toBe(true);
});

test.each([
  ['nothing', new Uint8Array(), /before its header/],
  ['half a header', fromPython.subarray(0, 40), /before its header/],
  ['half a tensor', fromPython.subarray(0, -4), /b ends after the last byte/],
  ['bytes too many', Buffer.concat([fromPython, Buffer.alloc(4)]), /after the last tensor/],
  ['another type', Buffer.from(fromPython.toString('latin1').replace('F32', 'F16'), 'latin1'), /a: dtype/],
  ['a gap', Buffer.from(fromPython.toString('latin1').replace('[4,20]', '[5,21]'), 'latin1'), /b does not lie/],
  ['no JSON', Buffer.from(fromPython.toString('latin1').replace('{"a"', '{{a"').replace('{"__', '{{__'), 'latin1'), /not JSON/],
])('refuses %s', (_name, bytes, message) =>
  expect(() => readSafetensors(bytes)).toThrow(
    expect.objectContaining({ code: 'CHECKPOINT_INVALID', message: expect.stringMatching(message) }),
  ),
);
