/**
 * Recognises a file's format from its bytes, because names and content types of objects in a bucket cannot be trusted. For a
 * format that goes to ffmpeg, the result names the demuxer, so that ffmpeg does not guess. If it did, its playlist formats
 * would open other files and addresses.
 *
 * Some writers put an ID3 tag in front of formats that do not have one, or zeros in front of an MP3. `offset` skips them.
 *
 * Does not promise that a file decodes as the format that it begins like.
 */
export type SniffedFormat = {
  /** Number of bytes in front that the decoder must not see; absent if there are none. */
  offset?: number;
} & ({ family: 'wav' } | { family: 'flac' } | { family: 'ffmpeg'; demuxer: string });

const WAV_FORMS = ['RIFF', 'RF64', 'BW64'];
/** QuickTime files older than `ftyp` begin with one of these. */
const MOV_ATOMS = ['moov', 'mdat', 'wide', 'free', 'skip', 'pnot'];
/** A Wave64 file begins with this GUID. */
const WAVE64 = 'riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0';
/** A recorder that was stopped late, or a disk with holes, leaves at most this many in front. */
const MOST_ZEROS = 1 << 20;

/** @returns null if the bytes begin like no known format */
export function sniffFormat(bytes: Uint8Array): SniffedFormat | null {
  const text = String.fromCharCode(...bytes.subarray(0, 16));
  const kind = text.slice(8, 12);
  if (WAV_FORMS.includes(text.slice(0, 4)) && kind === 'WAVE') return { family: 'wav' };
  const afterId3 = sizeOfId3(bytes);
  if (String.fromCharCode(...bytes.subarray(afterId3, afterId3 + 4)) === 'fLaC') return { family: 'flac' };
  if (afterId3 > 0) return behindId3(bytes, afterId3);
  const demuxer = demuxerOf(text, kind, bytes);
  return demuxer === null ? behindZeros(bytes) : { family: 'ffmpeg', demuxer };
}

/** After a tag the format is uncertain. MP3 and AAC decoders know the tag, so MP3 is assumed unless another format is seen. */
function behindId3(bytes: Uint8Array, offset: number): SniffedFormat {
  const mpeg = mpegDemuxer(bytes, offset);
  if (mpeg) return { family: 'ffmpeg', demuxer: mpeg };
  const inner = offset < bytes.length && sizeOfId3(bytes.subarray(offset)) === 0 ? sniffFormat(bytes.subarray(offset)) : null;
  if (!inner || inner.offset !== undefined) return { family: 'ffmpeg', demuxer: 'mp3' };
  return { ...inner, offset };
}

function behindZeros(bytes: Uint8Array): SniffedFormat | null {
  if (bytes[0] !== 0) return null;
  const offset = bytes.subarray(0, MOST_ZEROS).findIndex((byte) => byte !== 0);
  if (offset < 0) return null;
  const demuxer = mpegDemuxer(bytes, offset) ?? (sizeOfId3(bytes.subarray(offset)) > 0 ? 'mp3' : null);
  return demuxer === null ? null : { family: 'ffmpeg', demuxer, offset };
}

const LFS_POINTER = 'version https://git-lfs';

/** True for the file that Git LFS leaves in a checkout if the content was not fetched. */
export function isLfsPointer(bytes: Uint8Array): boolean {
  return bytes.length < 1024 && String.fromCharCode(...bytes.subarray(0, LFS_POINTER.length)) === LFS_POINTER;
}

function demuxerOf(text: string, kind: string, bytes: Uint8Array): string | null {
  if (text.startsWith('OggS')) return 'ogg';
  if (text.slice(4, 8) === 'ftyp' || MOV_ATOMS.includes(text.slice(4, 8))) return 'mov';
  if (text === WAVE64) return 'w64';
  if (text.startsWith('FORM') && (kind === 'AIFF' || kind === 'AIFC')) return 'aiff';
  if (text.startsWith('\x1a\x45\xdf\xa3')) return 'matroska';
  if (text.startsWith('caff')) return 'caf';
  if (text.startsWith('#!AMR')) return 'amr';
  if (text.startsWith('\x30\x26\xb2\x75\x8e\x66\xcf\x11')) return 'asf';
  if (text.startsWith('RIFF') && kind === 'AVI ') return 'avi';
  if (text.startsWith('.snd')) return 'au';
  if (text.startsWith('NIST_1A')) return 'nistsphere';
  return mpegDemuxer(bytes, 0);
}

/** Size of an ID3v2 tag in front (of MP3, AAC or FLAC), or 0: ten bytes, its size in four times seven bits, ten more with a flag. */
export function sizeOfId3(bytes: Uint8Array): number {
  const [i, d, three, , , flags = 0, size1 = 0, size2 = 0, size3 = 0, size4] = bytes.subarray(0, 10);
  if (i !== 0x49 || d !== 0x44 || three !== 0x33 || size4 === undefined) return 0;
  const size = ((size1 & 127) << 21) + ((size2 & 127) << 14) + ((size3 & 127) << 7) + (size4 & 127);
  return 10 + size + (flags & 0x10 ? 10 : 0);
}

/** Eleven or twelve set bits are weak evidence, so the fields after them must have valid values too. */
function mpegDemuxer(bytes: Uint8Array, at: number): string | null {
  const [sync, second, third] = bytes.subarray(at, at + 3);
  if (sync !== 0xff || second === undefined || third === undefined || (second & 0xe0) !== 0xe0) return null;
  const layer = (second >> 1) & 3;
  if (layer === 0) return (second & 0xf0) === 0xf0 && ((third >> 2) & 15) < 13 ? 'aac' : null;
  // Layer I (3) is excluded, because with it UTF-16 text would pass for MPEG.
  const known = layer !== 3 && ((second >> 3) & 3) !== 1 && third >> 4 !== 15 && third >> 4 !== 0 && ((third >> 2) & 3) !== 3;
  return known ? 'mp3' : null;
}
