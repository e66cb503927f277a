/**
 * Writes arrays as NumPy files: format version 1.0, 8-bit or little-endian float32, C order. Source: numpy/lib/format.py.
 *
 * Does not write other dtypes, and does not read.
 */
export function writeNpy(bytes: Uint8Array, shape: readonly number[]): Uint8Array {
  const size = shape.reduce((product, length) => product * length, 1);
  if (size !== bytes.length) throw new RangeError(`shape [${shape.join(', ')}] has ${size} values, but there are ${bytes.length}`);
  const header = npyHeader(shape);
  const file = new Uint8Array(header.length + bytes.length);
  file.set(header);
  file.set(bytes, header.length);
  return file;
}

/** The header of a file for an array of this shape; the array's bytes follow it. */
export function npyHeader(shape: readonly number[], dtype: '|u1' | '<f4' = '|u1'): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${dtype}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const headerLength = 64 * Math.ceil((10 + text.length + 1) / 64); // the values start at a multiple of 64 bytes
  const header = `\x93NUMPY\x01\x00${String.fromCharCode((headerLength - 10) & 255, (headerLength - 10) >> 8)}${text.padEnd(headerLength - 11)}\n`;
  return Uint8Array.from(header, (character) => character.charCodeAt(0));
}
