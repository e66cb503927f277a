/** Which objects of a corpus are taken for audio: by their ending. Whether they are, decoding tells. */
const audioEndings = new Set([
  'wav',
  'flac',
  'mp3',
  'ogg',
  'oga',
  'opus',
  'm4a',
  'mp4',
  'aac',
  'aif',
  'aiff',
  'wma',
  'webm',
  'mka',
  'caf',
  'amr',
  'au',
  'sph',
]);

export function isAudioPath(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  return dot > 0 && !name.startsWith('._') && audioEndings.has(name.slice(dot + 1).toLowerCase());
}

/** Which objects of a corpus are unpacked into it. */
export function isArchivePath(path: string): boolean {
  return /[^/]\.(?:tar|tar\.gz|tgz|zip)$/i.test(path) && !/(?:^|\/)\._[^/]*$/.test(path);
}
