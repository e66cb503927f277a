/**
 * Finds the manifest row of a recording, even if the row spells the recording's path in another way: NFC or NFD,
 * backslashes, `./`, percent-encoding, other case, or another root (absolute paths; a folder around everything in a zip).
 *
 * - A row that names a recording exactly belongs to that recording alone.
 * - If several recordings resemble a row, the most similar one gets it. If two are equally similar, neither gets it.
 * - If two rows resemble a recording equally, it gets neither.
 *
 * The matcher knows only the recordings that it was given or asked about. A recording that becomes known later may take a
 * row from a less similar one, so ask again once all are known.
 */
export interface RowsMatched {
  rows: number;
  /** Rows that match no recording. */
  unmatched: number[];
  /** Rows that spell a recording's path in another way, each with the recording's own path. */
  alike: { row: number; path: string }[];
}

/** The recording that resembles a row most. A path of null means that two resemble it equally. */
interface Claim {
  strength: number;
  path: string | null;
}

/** Key to row number. Null means that several rows have the same key. */
type Index = Map<string, number | null>;

interface Indices {
  forms: Index;
  folded: Index;
  /** Key: the folded path without the root that all rows of a kind share. */
  belowRoot: Index;
}

/** Larger than any number of folders. */
const strengthInLetters = { otherForm: 2_000, otherCase: 1_000 };

export class RowMatcher {
  private readonly rowOfPath: ReadonlyMap<string, number>;
  private readonly namedExactly = new Set<number>();
  private readonly claims = new Map<number, Claim>();
  private readonly displaced = new Set<string>();
  private indices: Indices | undefined;

  /** @param paths the path of each row; all differ */
  constructor(private readonly paths: readonly string[]) {
    this.rowOfPath = new Map(paths.map((path, row) => [path, row]));
  }

  /** Replaces the known recordings. */
  know(recordings: Iterable<string>): void {
    this.namedExactly.clear();
    this.claims.clear();
    for (const path of recordings) this.rowOf(path);
    this.displaced.clear();
  }

  /** @returns recordings that lost their row to another one, or to a tie, since the last call: ask for their rows again */
  takeDisplaced(): string[] {
    const paths = [...this.displaced];
    this.displaced.clear();
    return paths;
  }

  /** @param path path of a recording that exists @returns the number of its row, or null if it has none */
  rowOf(path: string): number | null {
    const exact = this.rowOfPath.get(path);
    if (exact !== undefined) {
      if (!this.namedExactly.has(exact)) this.displace(exact, path);
      this.namedExactly.add(exact);
      return exact;
    }
    const found = this.mostAlike(path);
    if (!found) return null;
    const claim = this.claims.get(found.row);
    if (!claim || found.strength > claim.strength) {
      this.displace(found.row, path);
      this.claims.set(found.row, { strength: found.strength, path });
    } else if (found.strength === claim.strength && claim.path !== path) {
      this.displace(found.row, path);
      claim.path = null;
    }
    return this.ownerOf(found.row) === path ? found.row : null;
  }

  matched(): RowsMatched {
    const result: RowsMatched = { rows: this.paths.length, unmatched: [], alike: [] };
    for (let row = 0; row < this.paths.length; row++) {
      if (this.namedExactly.has(row)) continue;
      const path = this.ownerOf(row);
      if (path === null) result.unmatched.push(row);
      else result.alike.push({ row, path });
    }
    return result;
  }

  private displace(row: number, by: string): void {
    const owner = this.ownerOf(row);
    if (owner !== null && owner !== by) this.displaced.add(owner);
  }

  /** The owner of a row that names no recording exactly. */
  private ownerOf(row: number): string | null {
    return this.namedExactly.has(row) ? null : (this.claims.get(row)?.path ?? null);
  }

  private mostAlike(path: string): { row: number; strength: number } | null {
    const { forms, folded, belowRoot } = (this.indices ??= indicesOf(this.paths));
    const form = plainForm(path);
    const sameForm = forms.get(form);
    if (sameForm !== undefined) return sameForm === null ? null : { row: sameForm, strength: strengthInLetters.otherForm };
    const sameFold = folded.get(fold(form));
    if (sameFold !== undefined) return sameFold === null ? null : { row: sameFold, strength: strengthInLetters.otherCase };
    const segments = fold(form).split('/');
    for (let from = 0; from < segments.length; from++) {
      const row = belowRoot.get(segments.slice(from).join('/'));
      if (row === null) return null;
      if (row !== undefined) return { row, strength: commonTail(segments, fold(plainForm(this.paths[row] ?? '')).split('/')) };
    }
    return null;
  }
}

function indicesOf(paths: readonly string[]): Indices {
  const plain = paths.map(plainForm);
  const lower = plain.map(fold);
  /** For each kind, the folders that all rows share, with a slash at the end. */
  const roots = new Map<string, string>();
  lower.forEach((path, row) => {
    const kind = kindOf(paths[row] ?? '');
    let root = roots.get(kind) ?? path.slice(0, path.lastIndexOf('/') + 1);
    while (!path.startsWith(root)) root = root.slice(0, root.lastIndexOf('/', root.length - 2) + 1);
    roots.set(kind, root);
  });
  const indices: Indices = { forms: new Map(), folded: new Map(), belowRoot: new Map() };
  lower.forEach((path, row) => {
    add(indices.forms, plain[row] ?? '', row);
    add(indices.folded, path, row);
    add(indices.belowRoot, path.slice(roots.get(kindOf(paths[row] ?? ''))?.length), row);
  });
  return indices;
}

function add(index: Index, key: string, row: number): void {
  index.set(key, index.has(key) ? null : row);
}

/** Rows of one kind may share a root that the recordings lack. */
const kindOf = (path: string): string => /^(?:[A-Za-z][\w+.-]*:)?[\\/]/.exec(path.trim())?.[0].toLowerCase() ?? 'relative';

/** The path with forward slashes, without empty or `.` segments, without percent-encoding, in NFC. */
function plainForm(path: string): string {
  if (!hasOtherForms.test(path)) return path;
  const segments = decoded(path).trim().replaceAll('\\', '/').split('/');
  return segments
    .filter((segment) => segment !== '' && segment !== '.')
    .join('/')
    .normalize('NFC');
}

/** Matches letters beyond ASCII, backslashes, percent signs, empty and `.` segments, and spaces at an end. Most paths have none. */
const hasOtherForms = /[^\x20-\x7e]|[\\%]|(?:^|\/)\.?(?:\/|$)|^ | $/;

/** Ignores case. */
const fold = (form: string): string => form.toLowerCase();

function decoded(path: string): string {
  if (!/%[0-9a-f]{2}/i.test(path)) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function commonHead(a: readonly string[], b: readonly string[]): number {
  const differing = a.findIndex((segment, index) => segment !== b[index]);
  return differing === -1 ? a.length : differing;
}

const commonTail = (a: readonly string[], b: readonly string[]): number => commonHead(a.toReversed(), b.toReversed());
