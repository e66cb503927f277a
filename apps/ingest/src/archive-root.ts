/**
 * Finds the folder that lies around everything in an archive, as people make them: `calls/manifest.csv` beside `calls/a.wav`.
 * Its annotations then belong at the top of the corpus, where readers look for them; recordings keep their place.
 */
import { isAudioPath } from '#corpora/audio-paths.js';
import { isAnnotationPath } from '#corpora/corpus-readers.js';

export interface ArchiveRoot {
  /** With a slash at its end; empty where annotations lie at the top of the archive, or nowhere. */
  folder: string;
  /** Annotations that no reader will look for, where none lies at the top. */
  strays: string[];
}

/** @param paths of all files in the archive */
export function archiveRoot(paths: readonly string[]): ArchiveRoot {
  if (paths.some(isAnnotationPath)) return { folder: '', strays: [] };
  const nested = paths.filter((path) => isAnnotationPath(belowFirstFolder(path)));
  const folders = new Set([...nested, ...paths.filter(isAudioPath)].map(firstFolder));
  const [folder = ''] = folders;
  return nested.length > 0 && folders.size === 1 ? { folder, strays: [] } : { folder: '', strays: nested };
}

const firstFolder = (path: string): string => path.slice(0, path.indexOf('/') + 1);
const belowFirstFolder = (path: string): string => path.slice(path.indexOf('/') + 1);
