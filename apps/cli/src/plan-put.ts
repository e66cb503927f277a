/** The plan of a `put`: which files of a folder it sends, and what is odd about them, so that `--dry-run` tells the truth. */
import { closeSync, openSync, readSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { PathProblem } from './find-files.js';
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
  return { ...plan, warnings: [...readerWarnings(plan, reader), ...nestedWarnings(plan), ...otherWarnings(plan.others)] };
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

/** Labels in a manifest that nobody reads are lost without an error. */
function nestedWarnings({ annotations, others }: Sorted): string[] {
  const nested = others.filter((path) => /\/(?:manifest\.csv|manifest\.jsonl|corpus\.json)$/.test(path));
  const [first] = nested;
  if (first === undefined || annotations.length > 0) return [];
  const folder = first.slice(0, first.lastIndexOf('/'));
  return [`${listed(nested)} will not be read, since it is not at the top of the folder: put the folder ${folder} instead`];
}

function otherWarnings(others: string[]): string[] {
  if (others.length === 0) return [];
  const endings = Map.groupBy(others, (path) => extname(path).toLowerCase() || 'no ending');
  const counts = [...endings].sort(([, a], [, b]) => b.length - a.length).map(([ending, { length }]) => `${length} × ${ending}`);
  const most = counts.length > 4 ? [...counts.slice(0, 4), '…'] : counts;
  return [`${counted(others.length, 'file')} left out, neither recording nor annotation: ${most.join(', ')}`];
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
    warnings.push(`${counted(paths.length, 'path is', 'paths are')} passed over, such as ${first.path}: ${why}`);
  }
  return warnings;
}

/** Larger files are no pointers, by the specification of Git LFS. */
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
    return false; // told when it is sent
  }
  return start.toString('latin1') === pointerStart;
}

function listed(paths: string[]): string {
  const [first = '', ...more] = paths;
  return more.length === 0 ? first : `${first} and ${more.length} more`;
}
