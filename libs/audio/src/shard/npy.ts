/**
 * Arrays as NumPy files: format version 1.0, 8-bit or little-endian float32, C order. Source: numpy/lib/format.py.
 *
 * Does not promise other dtypes, or reading.
 */
export function writeNpy(bytes: Uint8Array, shape: readonly number[]): Uint8Array {
  const size = shape.reduce((product, length) => product * length, 1);
  if (size !== bytes.length) throw new RangeError(`shape [${shape.join(', ')}] has ${size} values, there are ${bytes.length}`);
  const header = npyHeader(shape);
  const file = new Uint8Array(header.length + bytes.length);
  file.set(header);
  file.set(bytes, header.length);
  return file;
}

/** What goes before the bytes of an array of this shape. */
export function npyHeader(shape: readonly number[], dtype: '|u1' | '<f4' = '|u1'): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${dtype}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const headerLength = 64 * Math.ceil((10 + text.length + 1) / 64); // what follows is aligned to 64 bytes
  const header = `\x93NUMPY\x01\x00${String.fromCharCode((headerLength - 10) & 255, (headerLength - 10) >> 8)}${text.padEnd(headerLength - 11)}\n`;
  return Uint8Array.from(header, (character) => character.charCodeAt(0));
}
