/**
 * Tells from the structure of a file if it was cut off: the file is a row of elements that state their sizes. The stated
 * duration of Matroska, WebM, MP4 and QuickTime cannot tell this. It covers the longest track, chapter or subtitle, and
 * browsers write a wrong one, or none. For Wave64, CAF and WMA, ffmpeg computes it from the bytes present. Sources: RFC 8794
 * (EBML), RFC 9559 (Matroska), ISO/IEC 14496-12 (boxes), the specifications of Wave64, Apple's Core Audio Format and ASF.
 *
 * Does not notice a cut exactly between two elements if the writer of the file did not know its size.
 */

/** Matroska's master elements whose children are walked as if they were siblings: Segment, Cluster. */
const ENTERED = new Set([0x18538067, 0x1f43b675]);
const SEGMENT = 0x18538067;
/** All elements that may stand beside or inside a Cluster. Any other element is damage. */
const KNOWN = new Set([
  0x1a45dfa3, 0x114d9b74, 0x1549a966, 0x1654ae6b, 0x1c53bb6b, 0x1941a469, 0x1043a770, 0x1254c367, 0xec, 0xbf, 0xe7, 0x5854, 0xa7, 0xab,
  0xa3, 0xa0, 0xaf,
]);

/** @param demuxer ffmpeg's name of the container. @returns null for a container that this file does not know */
export function isWhole(bytes: Uint8Array, demuxer: string): boolean | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (demuxer) {
    case 'matroska':
      return isWholeMatroska(bytes);
    case 'mov':
      return isWholeMov(view);
    case 'w64':
      return isWholeWave64(view);
    case 'caf':
      return isWholeCaf(view);
    case 'asf':
      return isWholeAsf(view);
    default:
      return null;
  }
}

/** True if the container's header states a duration. Fragmented files, and samples without a length, state none. */
export function statesDuration(bytes: Uint8Array, demuxer: string): boolean {
  if (demuxer === 'mov') return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf('moof') < 0;
  return demuxer !== 'w64' && demuxer !== 'caf' && demuxer !== 'asf';
}

function isWholeMatroska(bytes: Uint8Array): boolean {
  let at = 0;
  let end = bytes.length;
  while (at < end) {
    const id = readId(bytes, at);
    const size = id && readSize(bytes, at + id.width);
    if (!id || !size) return false;
    const body = at + id.width + size.width;
    if (id.value === SEGMENT && size.value !== null) {
      if (body + size.value > bytes.length) return false;
      end = body + size.value; // anything may follow it
    }
    if (ENTERED.has(id.value)) at = body;
    else if (KNOWN.has(id.value) && size.value !== null) at = body + size.value;
    else return false;
  }
  return at === end;
}

/** Reads one to four bytes and keeps the marker bit. */
function readId(bytes: Uint8Array, at: number): { value: number; width: number } | null {
  const width = Math.clz32(bytes[at] ?? 0) - 23;
  if (width > 4 || at + width > bytes.length) return null;
  let value = 0;
  for (let i = 0; i < width; i++) value = value * 256 + (bytes[at + i] as number);
  return { value, width };
}

/** Reads one to eight bytes and drops the marker bit. A value of null (all other bits set) means that the writer did not know the size. */
function readSize(bytes: Uint8Array, at: number): { value: number | null; width: number } | null {
  const first = bytes[at] ?? 0;
  const width = Math.clz32(first) - 23;
  if (width > 8 || at + width > bytes.length) return null;
  const mask = 0xff >> width;
  let value = first & mask;
  let unknown = value === mask;
  for (let i = 1; i < width; i++) {
    const byte = bytes[at + i] as number;
    value = value * 256 + byte;
    unknown &&= byte === 0xff;
  }
  return { value: unknown ? null : value, width };
}

/** Boxes: four bytes of size, four of kind. Size 1 means that eight more bytes hold it; size 0, that the box takes the rest of the file. */
function isWholeMov(view: DataView): boolean {
  let at = 0;
  while (at + 8 <= view.byteLength) {
    const size = view.getUint32(at);
    if (size === 0) return true;
    if (size === 1 && at + 16 > view.byteLength) return false;
    const whole = size === 1 ? Number(view.getBigUint64(at + 8)) : size;
    if (whole < 8) return false;
    at += whole;
  }
  return at === view.byteLength;
}

/** Chunks: a GUID of 16 bytes, then eight bytes of size, which counts these 24. Each chunk begins at a multiple of eight. */
function isWholeWave64(view: DataView): boolean {
  let at = 40; // after GUID, size and form of the RIFF chunk
  while (at + 24 <= view.byteLength) {
    const size = Number(view.getBigUint64(at + 16, true));
    if (size < 24 || at + size > view.byteLength) return false;
    at += Math.ceil(size / 8) * 8;
  }
  return true;
}

/** Chunks: four bytes of kind, then eight bytes of size, which does not count these twelve. -1 means the rest of the file. */
function isWholeCaf(view: DataView): boolean {
  let at = 8;
  while (at + 12 <= view.byteLength) {
    const size = Number(view.getBigInt64(at + 4));
    if (size < 0) return size === -1;
    at += 12 + size;
  }
  return at === view.byteLength;
}

/** The header object contains further objects. One of them, known by the start of its GUID, states the size of the file. */
const ASF_HEADER_BYTES = 30;
const FILE_PROPERTIES = 0x8cabdca1;
const BROADCAST = 1;

function isWholeAsf(view: DataView): boolean | null {
  for (let at = ASF_HEADER_BYTES; at + 104 <= view.byteLength; ) {
    const size = Number(view.getBigUint64(at + 16, true));
    if (view.getUint32(at, true) === FILE_PROPERTIES) {
      const fileBytes = Number(view.getBigUint64(at + 40, true));
      const unknown = fileBytes === 0 || (view.getUint32(at + 88, true) & BROADCAST) !== 0;
      return unknown ? null : fileBytes <= view.byteLength;
    }
    if (size < 24) return null;
    at += size;
  }
  return null;
}
