/** Plans a `put`: chooses the files to send, and warns of odd ones. `--dry-run` prints the same plan. */
import { closeSync, openSync, readSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { PathProblem } from './find-files.js';
import { counted } from './human-units.js';
import { isArchivePath, isAudioPath } from '#corpora/audio-paths.js';
import { annotates, isAnnotationPath, optionsPath, readerNamed, recogniseReaders } from '#corpora/corpus-readers.js';
import { leftOutOf, leftOutWarnings } from '#corpora/takes.js';

export interface PutPlan {
  /** Annotations, sent first so that recordings find their labels. */
  annotations: string[];
  recordings: string[];
  archives: string[];
  /** Files that are left out, because ingest does not take them. */
  others: string[];
  warnings: string[];
}

/**
 * @param paths inside the folder, with slashes
 * @param reader the choice of `--reader`
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
  return { ...plan, warnings: [...readerWarnings(plan, reader), ...nestedWarnings(plan), ...otherWarnings(plan.others)] };
}

type Sorted = Omit<PutPlan, 'warnings'>;

function readerWarnings({ annotations, recordings, archives }: Sorted, reader?: string): string[] {
  if (annotations.includes(optionsPath)) {
    return reader ? [`--reader ${reader} is ignored: the folder's own ${optionsPath} chooses the reader`] : [];
  }
  if (recordings.length === 0) return [];
  const named = reader ? readerNamed(reader) : undefined;
  const [first, ...more] = named ? [named] : recogniseReaders([...annotations, ...recordings]);
  if (!first) return [];
  if (more.length > 0) {
    const names = [first, ...more].map(({ name }) => name).join(' and ');
    return [`the folder looks like ${names}. Ingest cannot tell which it is: name one with --reader`];
  }
  const passedOver = annotations.filter((path) => !annotates(first, path));
  const warnings = passedOver.length > 0 ? [`the reader ${first.name} does not read ${listed(passedOver)}`] : [];
  const [expected = first.annotationFolders?.folders[0]] = first.annotationPaths;
  warnings.push(...leftOutWarnings(leftOutOf(first, recordings)));
  if (expected && annotations.length === passedOver.length && archives.length === 0) {
    warnings.push(`there is no ${expected}: without it the reader ${first.name} has no labels for these recordings`);
  }
  return warnings;
}

/** Warns of nested manifests: ingest does not read them, so their labels would be missing without an error. */
function nestedWarnings({ annotations, others }: Sorted): string[] {
  const nested = others.filter((path) => /\/(?:manifest\.csv|manifest\.jsonl|corpus\.json)$/.test(path));
  const [first] = nested;
  if (first === undefined || annotations.length > 0) return [];
  const folder = first.slice(0, first.lastIndexOf('/'));
  return [`${listed(nested)} will not be read, because it is not at the top of the folder. Put the folder ${folder} instead`];
}

function otherWarnings(others: string[]): string[] {
  if (others.length === 0) return [];
  const endings = Map.groupBy(others, (path) => extname(path).toLowerCase() || 'no ending');
  const counts = [...endings].sort(([, a], [, b]) => b.length - a.length).map(([ending, { length }]) => `${length} × ${ending}`);
  const most = counts.length > 4 ? [...counts.slice(0, 4), '…'] : counts;
  return [`${counted(others.length, 'file is', 'files are')} left out (neither recording nor annotation): ${most.join(', ')}`];
}

/** @param sent paths of files that are sent @param sizes in bytes, by path */
export function fileWarnings(
  folder: string,
  sent: readonly string[],
  { sizes, passedOver }: { sizes: ReadonlyMap<string, number>; passedOver: readonly PathProblem[] },
): string[] {
  const warnings: string[] = [];
  const empty = sent.filter((path) => sizes.get(path) === 0);
  if (empty.length > 0) warnings.push(`${counted(empty.length, 'file has', 'files have')} no bytes: ${listed(empty)}`);
  const pointers = sent.filter((path) => (sizes.get(path) ?? 0) <= mostPointerBytes && isLfsPointer(join(folder, path)));
  if (pointers.length > 0) {
    const are = counted(pointers.length, 'file is a Git LFS pointer', 'files are Git LFS pointers');
    warnings.push(`${are}: fetch the content first, with git lfs pull: ${listed(pointers)}`);
  }
  for (const [why, paths] of Map.groupBy(passedOver, ({ why }) => why)) {
    const [first = { path: '' }] = paths;
    warnings.push(`${counted(paths.length, 'path is', 'paths are')} skipped, such as ${first.path}: ${why}`);
  }
  return warnings;
}

/** The specification of Git LFS says that a pointer is no larger than this. */
const mostPointerBytes = 1024;
const pointerStart = 'version https://git-lfs.github.com/spec/';

function isLfsPointer(file: string): boolean {
  const start = Buffer.alloc(pointerStart.length);
  try {
    const opened = openSync(file, 'r');
    try {
      readSync(opened, start);
    } finally {
      closeSync(opened);
    }
  } catch {
    return false; // reported when it is sent
  }
  return start.toString('latin1') === pointerStart;
}

function listed(paths: string[]): string {
  const [first = '', ...more] = paths;
  return more.length === 0 ? first : `${first} and ${more.length} more`;
}
