/** What `put` would do with the files of a folder, and what is odd about them: pure, so that `--dry-run` tells the truth. */
import { extname } from 'node:path';
import { counted } from './human-units.js';
import { isArchivePath, isAudioPath } from '#corpora/audio-paths.js';
import { annotates, isAnnotationPath, optionsPath, readerNamed, recogniseReaders } from '#corpora/corpus-readers.js';

export interface PutPlan {
  /** Sent first, so that recordings find their labels. */
  annotations: string[];
  recordings: string[];
  archives: string[];
  /** Ingest takes nothing else: these are left out. */
  others: string[];
  warnings: string[];
}

/**
 * @param paths inside the folder, with slashes
 * @param reader as chosen by `--reader`
 */
export function planPut(paths: readonly string[], reader?: string): PutPlan {
  const annotations = paths.filter(isAnnotationPath);
  const rest = paths.filter((path) => !isAnnotationPath(path));
  const plan = {
    annotations,
    recordings: rest.filter(isAudioPath),
    archives: rest.filter(isArchivePath),
    others: rest.filter((path) => !isAudioPath(path) && !isArchivePath(path)),
  };
  return { ...plan, warnings: [...readerWarnings(plan, reader), ...otherWarnings(plan.others)] };
}

type Sorted = Omit<PutPlan, 'warnings'>;

function readerWarnings({ annotations, recordings, archives }: Sorted, reader?: string): string[] {
  if (annotations.includes(optionsPath)) {
    return reader ? [`the folder has a ${optionsPath} of its own, which says how it is read: --reader ${reader} is not used`] : [];
  }
  if (recordings.length === 0) return [];
  const named = reader ? readerNamed(reader) : undefined;
  const [first, ...more] = named ? [named] : recogniseReaders([...annotations, ...recordings]);
  if (!first) return [];
  if (more.length > 0) {
    const names = [first, ...more].map(({ name }) => name).join(' and ');
    return [`it looks like ${names}: ingest will wait for you to say which; name one with --reader`];
  }
  const passedOver = annotations.filter((path) => !annotates(first, path));
  const warnings = passedOver.length > 0 ? [`${listed(passedOver)} will not be read: the reader is ${first.name}`] : [];
  const [expected = first.annotationFolders?.folders[0]] = first.annotationPaths;
  if (expected && annotations.length === passedOver.length && archives.length === 0) {
    warnings.push(`there is no ${expected}: until one comes, the reader ${first.name} has no labels for these recordings`);
  }
  return warnings;
}

function otherWarnings(others: string[]): string[] {
  if (others.length === 0) return [];
  const endings = Map.groupBy(others, (path) => extname(path).toLowerCase() || 'no ending');
  const counts = [...endings].sort(([, a], [, b]) => b.length - a.length).map(([ending, { length }]) => `${length} × ${ending}`);
  const most = counts.length > 4 ? [...counts.slice(0, 4), '…'] : counts;
  return [`${counted(others.length, 'file')} left out, neither recording nor annotation: ${most.join(', ')}`];
}

function listed(paths: string[]): string {
  const [first = '', ...more] = paths;
  return more.length === 0 ? first : `${first} and ${more.length} more`;
}
