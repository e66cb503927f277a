import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RowMatcher } from './row-matcher.js';

/** @returns recording to row, for the recordings that have one */
function match(rows: readonly string[], recordings: readonly string[]): Record<string, string | undefined> {
  const matcher = new RowMatcher(rows);
  matcher.know(recordings);
  return Object.fromEntries(
    recordings.flatMap((path) => {
      const row = matcher.rowOf(path);
      return row === null ? [] : [[path, rows[row]]];
    }),
  );
}

describe('a row is found', () => {
  it.each([
    ['by its very letters', 'audio/a.wav', 'audio/a.wav'],
    ['composed, of a recording whose name is decomposed', 'Jos\u00e9.wav', 'Jose\u0301.wav'],
    ['decomposed, of a recording whose name is composed', 'Jose\u0301.wav', 'Jos\u00e9.wav'],
    ['with back slashes', 'audio\\a.wav', 'audio/a.wav'],
    ['with ./ and empty segments', './audio//./a.wav', 'audio/a.wav'],
    ['in other case', 'Audio/A.WAV', 'audio/a.wav'],
    ['percent-encoded', 'audio/a%20b.wav', 'audio/a b.wav'],
    ['absolute', '/data/ser/audio/a.wav', 'audio/a.wav'],
    ['absolute on Windows', 'C:\\data\\audio\\a.wav', 'audio/a.wav'],
    ['as an address', 's3://bucket/corpora/x/audio/a.wav', 'audio/a.wav'],
    ['above the corpus', '../x/audio/a.wav', 'audio/a.wav'],
    ['of a recording in a folder around everything', 'audio/a.wav', 'RAVDESS/audio/a.wav'],
    ['without its folder', 'a.wav', 'audio/a.wav'],
    ['below another folder', 'wavs/a.wav', 'audio/a.wav'],
  ])('%s', (_how, row, recording) => {
    expect(match([row], [recording])).toEqual({ [recording]: row });
  });
});

describe('a row is not given', () => {
  it('to a similar recording if it names another one exactly', () => {
    expect(match(['A.wav', 'x/1.wav'], ['A.wav', 'a.wav', 'x/1.wav', 'backup/x/1.wav'])).toEqual({
      'A.wav': 'A.wav',
      'x/1.wav': 'x/1.wav',
    });
  });

  it('to either of two equally similar recordings', () => {
    expect(match(['1.wav'], ['s1/1.wav', 's2/1.wav'])).toEqual({});
    expect(match(['A.wav'], ['a.wav', 'a.WAV'])).toEqual({});
  });

  it('to any but the most similar of several recordings', () => {
    expect(match(['/data/x/audio/a.wav'], ['a.wav', 'audio/a.wav', 'other/a.wav'])).toEqual({ 'audio/a.wav': '/data/x/audio/a.wav' });
    expect(match(['A/1.wav', 'A/2.wav'], ['a/1.wav', 'B/1.wav'])).toEqual({ 'a/1.wav': 'A/1.wav' });
  });

  it('to a recording that another row resembles equally', () => {
    expect(match(['A.wav', 'a.WAV'], ['a.wav'])).toEqual({});
  });

  it('if only some rows have another root: the root must be common to all rows', () => {
    expect(match(['s1/1.wav', 's2/1.wav'], ['1.wav', 's3/1.wav'])).toEqual({});
    expect(match(['in/s1/1.wav', 'in/s2/1.wav'], ['out/s1/1.wav', 'out/s2/1.wav'])).toEqual({
      'out/s1/1.wav': 'in/s1/1.wav',
      'out/s2/1.wav': 'in/s2/1.wav',
    });
  });
});

it('counts rows that match nothing and rows that spell a path in another way', () => {
  const matcher = new RowMatcher(['a.wav', 'B.wav', 'constructor', '__proto__', 'c.wav']);
  matcher.know(['a.wav', 'b.wav', 'x/c.wav', 'y/c.wav']);
  expect(matcher.matched()).toEqual({ rows: 5, unmatched: [2, 3, 4], alike: [{ row: 1, path: 'b.wav' }] });
});

it('names recordings that lost their row to a recording that became known later', () => {
  const matcher = new RowMatcher(['x/A.wav', 'x/1.wav', 'x/2.wav']);
  for (const path of ['x/a.wav', 'y/1.wav', 'y/2.wav', 'x/A.wav', 'x/1.wav', 'z/2.wav', 'x/1.wav', 'y/2.wav']) matcher.rowOf(path);
  expect(matcher.takeDisplaced()).toEqual(['x/a.wav', 'y/1.wav', 'y/2.wav']);
  expect(matcher.takeDisplaced()).toEqual([]);
});

it('drops recordings that no longer exist', () => {
  const matcher = new RowMatcher(['A.wav']);
  matcher.know(['A.wav', 'a.wav']);
  expect(matcher.rowOf('a.wav')).toBeNull();
  matcher.know(['a.wav']);
  expect(matcher.rowOf('a.wav')).toBe(0);
});

describe('whatever the paths are', () => {
  const segment = fc.constantFrom('a', 'A', 'b', '\u00e9', 'e\u0301', 'a%62', '.', '..', '', 'constructor', '__proto__', '1.wav', '1.WAV');
  const path = fc
    .array(segment, { minLength: 1, maxLength: 4 })
    .chain((parts) => fc.constantFrom(parts.join('/'), parts.join('\\'), `/${parts.join('/')}`));
  const paths = fc.uniqueArray(path, { maxLength: 12 });

  it('exact matches win, no row goes to two recordings, and no row that names a recording goes to another', () => {
    fc.assert(
      fc.property(paths, paths, (rows, recordings) => {
        const matcher = new RowMatcher(rows);
        matcher.know(recordings);
        const given = recordings.map((recording) => matcher.rowOf(recording));
        recordings.forEach((recording, index) => {
          const row = given[index];
          if (rows.includes(recording)) expect(row).toBe(rows.indexOf(recording));
          else if (row !== null && row !== undefined) expect(recordings).not.toContain(rows[row]);
        });
        const owned = given.filter((row) => row !== null);
        expect(new Set(owned).size).toBe(owned.length);
        expect(matcher.matched().unmatched).toHaveLength(rows.length - owned.length);
      }),
      { seed: 15, numRuns: 500 },
    );
  });

  it('the order in which recordings become known does not matter', () => {
    fc.assert(
      fc.property(paths, paths, (rows, recordings) => {
        expect(match(rows, recordings.toReversed())).toEqual(match(rows, recordings));
      }),
      { seed: 15, numRuns: 500 },
    );
  });
});
