/**
 * Bytes as a NumPy file: format version 1.0, dtype |u1, C order. Source: numpy/lib/format.py.
 *
 * Does not promise other dtypes, or reading.
 */
export function writeNpy(bytes: Uint8Array, shape: readonly number[]): Uint8Array {
  const size = shape.reduce((product, length) => product * length, 1);
  if (size !== bytes.length) throw new RangeError(`shape [${shape.join(', ')}] has ${size} values, there are ${bytes.length}`);
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '|u1', 'fortran_order': False, 'shape': ${tuple}, }`;
  const headerLength = 64 * Math.ceil((10 + text.length + 1) / 64); // what follows is aligned to 64 bytes
  const file = new Uint8Array(headerLength + bytes.length);
  const header = `\x93NUMPY\x01\x00${String.fromCharCode((headerLength - 10) & 255, (headerLength - 10) >> 8)}${text.padEnd(headerLength - 11)}\n`;
  for (let i = 0; i < headerLength; i++) file[i] = header.charCodeAt(i);
  file.set(bytes, headerLength);
  return file;
}
