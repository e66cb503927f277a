/**
 * Finds the one folder that contains everything in an archive, such as `calls/` of `calls/manifest.csv` and `calls/a.wav`. Its
 * annotations go to the top of the corpus, where readers look for them. Recordings keep their paths.
 */
import { isAudioPath } from '#corpora/audio-paths.js';
import { isAnnotationPath } from '#corpora/corpus-readers.js';

export interface ArchiveRoot {
  /** The folder with a slash at its end; empty if annotations lie at the top of the archive, or if there are none. */
  folder: string;
  /** Annotations that no reader will find, if none lies at the top. */
  strays: string[];
}

/** @param paths the paths of all files in the archive */
export function archiveRoot(paths: readonly string[]): ArchiveRoot {
  if (paths.some(isAnnotationPath)) return { folder: '', strays: [] };
  const nested = paths.filter((path) => isAnnotationPath(belowFirstFolder(path)));
  const folders = new Set([...nested, ...paths.filter(isAudioPath)].map(firstFolder));
  const [folder = ''] = folders;
  return nested.length > 0 && folders.size === 1 ? { folder, strays: [] } : { folder: '', strays: nested };
}

const firstFolder = (path: string): string => path.slice(0, path.indexOf('/') + 1);
const belowFirstFolder = (path: string): string => path.slice(path.indexOf('/') + 1);
