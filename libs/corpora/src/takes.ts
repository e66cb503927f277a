/**
 * Decides which files of a corpus are not its utterances: those that its reader leaves out, and further copies of a take. Otherwise a
 * corpus that is cloned whole would count twice, and a whole dialogue would bring the voices of held-out speakers without a label.
 *
 * The reader chooses the most exact format of a take, then the shortest path. The choice depends on the files that are known.
 */
import type { CorpusReader } from './corpus-reader.js';

const formats = ['wav', 'flac'];
const copyOfTake = 'another file holds the same take';

export class Takes {
  private readonly chosen = new Map<string, string>();
  private displaced: string[] = [];

  constructor(private readonly reader: Pick<CorpusReader, 'leavesOut' | 'takeOf'>) {}

  /** Replaces the known recordings. */
  know(paths: Iterable<string>): void {
    this.chosen.clear();
    if (!this.reader.takeOf) return;
    for (const path of paths) this.leftOut(path);
    this.displaced = [];
  }

  /** Adds the path to the known ones. @returns the reason why it is left out; undefined if it is taken */
  leftOut(path: string): string | undefined {
    const because = this.reader.leavesOut?.(path);
    if (because !== undefined) return because;
    const take = this.reader.takeOf?.(path);
    if (take === undefined) return undefined;
    const chosen = this.chosen.get(take);
    if (chosen !== undefined && chosen !== path) {
      if (!isBetter(path, chosen)) return copyOfTake;
      this.displaced.push(chosen);
    }
    this.chosen.set(take, path);
    return undefined;
  }

  /** @returns recordings that a better copy has replaced since the last call */
  takeDisplaced(): string[] {
    const { displaced } = this;
    this.displaced = [];
    return displaced;
  }
}

function isBetter(path: string, other: string): boolean {
  const [a, b] = [rankOf(path), rankOf(other)];
  if (a !== b) return a < b;
  return path.length !== other.length ? path.length < other.length : path < other;
}

function rankOf(path: string): number {
  const rank = formats.indexOf(path.slice(path.lastIndexOf('.') + 1).toLowerCase());
  return rank < 0 ? formats.length : rank;
}

/** @returns those of the recordings that a reader leaves out, with the reason */
export function leftOutOf(reader: Pick<CorpusReader, 'leavesOut' | 'takeOf'>, paths: readonly string[]): [path: string, because: string][] {
  if (!reader.leavesOut && !reader.takeOf) return [];
  const takes = new Takes(reader);
  takes.know(paths);
  return paths.flatMap((path): [string, string][] => {
    const because = takes.leftOut(path);
    return because === undefined ? [] : [[path, because]];
  });
}

/** @returns sentences that count the recordings that are left out, by reason */
export function leftOutWarnings(reasons: Iterable<readonly [path: string, because: string]>): string[] {
  const byReason = Map.groupBy(reasons, ([, because]) => because);
  return [...byReason].map(([because, paths]) => {
    const [first] = paths.map(([path]) => path).sort();
    return `${paths.length} ${paths.length === 1 ? 'recording is' : 'recordings are'} left out, such as ${JSON.stringify(first)}: ${because}`;
  });
}
