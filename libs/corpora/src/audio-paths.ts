/** Recognises the recordings and archives of a corpus by their endings. Decoding decides later if a file really is audio. */
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

/** True for an archive, whose files ingest unpacks into the corpus. */
export function isArchivePath(path: string): boolean {
  return /[^/]\.(?:tar|tar\.gz|tgz|zip)$/i.test(path) && !/(?:^|\/)\._[^/]*$/.test(path);
}
