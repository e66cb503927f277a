/**
 * What the bytes are, from the bytes: names and content types of objects in a bucket are not to be trusted. A format that
 * goes to ffmpeg carries the name of its demuxer, so that ffmpeg does no guessing of its own (its playlist formats would
 * open other files and addresses).
 *
 * Does not promise that what begins like a format decodes as one.
 */
export type SniffedFormat = { family: 'wav' } | { family: 'flac' } | { family: 'ffmpeg'; demuxer: string };

const WAV_FORMS = ['RIFF', 'RF64', 'BW64'];

/** null: like nothing that is known. */
export function sniffFormat(bytes: Uint8Array): SniffedFormat | null {
  const text = String.fromCharCode(...bytes.subarray(0, 16));
  const kind = text.slice(8, 12);
  if (WAV_FORMS.includes(text.slice(0, 4)) && kind === 'WAVE') return { family: 'wav' };
  const afterId3 = sizeOfId3(bytes);
  if (String.fromCharCode(...bytes.subarray(afterId3, afterId3 + 4)) === 'fLaC') return { family: 'flac' };
  if (afterId3 > 0) return { family: 'ffmpeg', demuxer: mpegDemuxer(bytes, afterId3) ?? 'mp3' };
  const demuxer = demuxerOf(text, kind, bytes);
  return demuxer === null ? null : { family: 'ffmpeg', demuxer };
}

function demuxerOf(text: string, kind: string, bytes: Uint8Array): string | null {
  if (text.startsWith('OggS')) return 'ogg';
  if (text.slice(4, 8) === 'ftyp') return 'mov';
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

/** Bytes of an ID3v2 tag in front (of MP3, AAC or FLAC), 0 without one: ten, its size in four of seven bits, ten more by a flag. */
export function sizeOfId3(bytes: Uint8Array): number {
  const [i, d, three, , , flags = 0, size1 = 0, size2 = 0, size3 = 0, size4] = bytes.subarray(0, 10);
  if (i !== 0x49 || d !== 0x44 || three !== 0x33 || size4 === undefined) return 0;
  const size = ((size1 & 127) << 21) + ((size2 & 127) << 14) + ((size3 & 127) << 7) + (size4 & 127);
  return 10 + size + (flags & 0x10 ? 10 : 0);
}

/** Eleven or twelve set bits are little evidence, so the fields behind them must have values that exist. */
function mpegDemuxer(bytes: Uint8Array, at: number): string | null {
  const [sync, second, third] = bytes.subarray(at, at + 3);
  if (sync !== 0xff || second === undefined || third === undefined || (second & 0xe0) !== 0xe0) return null;
  const layer = (second >> 1) & 3;
  if (layer === 0) return (second & 0xf0) === 0xf0 && ((third >> 2) & 15) < 13 ? 'aac' : null;
  // Layer I (3) is left out: with it, UTF-16 text would pass for MPEG.
  const known = layer !== 3 && ((second >> 3) & 3) !== 1 && third >> 4 !== 15 && third >> 4 !== 0 && ((third >> 2) & 3) !== 3;
  return known ? 'mp3' : null;
}
