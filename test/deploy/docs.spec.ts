/**
 * The documents name things that exist: links lead somewhere, files are where they are said to be, the names in the table
 * "Where do I find it" are exported by their files, and the tests that the contract cites are there under these names.
 *
 * Does not promise that a sentence about them is true.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const code = globSync(['{apps,libs,test,scripts,deploy,bench,examples}/**/*.{ts,js,mjs,py,sh,json,yaml}'], { cwd: root });
const codeNames = new Set(code.map((file) => basename(file)));
const docs = globSync(['README.md', 'docs/**/*.md'], { cwd: root });

/** As GitHub makes them. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
const anchorsIn = (file: string): string[] => [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading));

describe.each(docs)('%s', (doc) => {
  it('links to files and headings that exist', () => {
    const links = [...read(doc).matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)].map(([, link = '']) => link);
    const broken = links.filter((link) => {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? doc : join(dirname(doc), path);
      return !existsSync(join(root, target)) || (anchor !== undefined && target.endsWith('.md') && !anchorsIn(target).includes(anchor));
    });
    expect(broken).toEqual([]);
  });

  it('names files of code that exist', () => {
    const named = [...read(doc).matchAll(/`([\w./-]+\.(?:ts|mjs))`/g)].map(([, file = '']) => file);
    const isThere = (file: string): boolean => (file.includes('/') ? code.some((each) => each.endsWith(file)) : codeNames.has(file));
    expect(named.filter((file) => !isThere(file))).toEqual([]);
  });
});

describe('the table "Where do I find it" of docs/architecture.md', () => {
  const [, table = ''] = read('docs/architecture.md').split('## Where do I find it');
  const rows = [...table.split('\n## ')[0]!.matchAll(/^\| ([^|]+) \| `([^`]+)`[^|]* \| ([^|]*)\|$/gm)];

  it('has its rows', () => {
    expect(rows.length).toBeGreaterThan(20);
  });

  it.each(rows.map(([, what = '', file = '', names = '']) => ({ what, file, names })))('$what', ({ file, names }) => {
    const source = read(file);
    const [own = ''] = names.split(';');
    const exported = [...own.matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
    expect(exported.filter((name) => !new RegExp(`^export .*\\b${name}\\b`, 'm').test(source))).toEqual([]);
  });
});

describe('docs/contract.md', () => {
  const cited = citedTests(read('docs/contract.md'));

  it('cites tests', () => {
    expect(cited.length).toBeGreaterThan(80);
  });

  it('cites tests that exist', () => {
    const tests = new Map([...new Set(cited.map(({ file }) => file))].map((file) => [file, testsIn(file)]));
    const missing = cited.filter(({ file, name }) => !tests.get(file)?.some((test) => fits(test, name)));
    expect(missing.map(({ file, name }) => `${file} "${name}"`)).toEqual([]);
  });
});

interface CitedTest {
  file: string;
  name: string;
}

/** `file.spec.ts` "name of a test", "another"; a file without a name stands for all that is in it. */
function citedTests(text: string): CitedTest[] {
  const cited: CitedTest[] = [];
  for (const line of text.split('\n').filter((each) => each.startsWith('| '))) {
    let file = '';
    for (const [, path, name] of line.matchAll(/`([\w./-]+\.ts)`|"([^"]+)"/g)) {
      if (path !== undefined) file = existsSync(join(root, 'test/integration', path)) ? `test/integration/${path}` : path;
      cited.push({ file, name: name ?? '' });
    }
  }
  return cited;
}

/** @param name with "…" where words are left out */
function fits(test: string, name: string): boolean {
  let at = 0;
  return name.split('…').every((part) => {
    const found = test.indexOf(part.trim(), at);
    at = found + part.trim().length;
    return found >= 0;
  });
}

/** Full names, with those of the groups before them. */
function testsIn(file: string): string[] {
  if (!existsSync(join(root, file))) return [];
  const names: string[] = [''];
  const visit = (node: ts.Node, groups: string[]): void => {
    const call = ts.isCallExpression(node) ? groupOrTest(node) : null;
    if (call === null) return ts.forEachChild(node, (child) => visit(child, groups));
    const full = [...groups, call.name];
    names.push(full.join(' '));
    (node as ts.CallExpression).arguments.forEach((argument) => visit(argument, full));
  };
  visit(ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest), []);
  return names;
}

function groupOrTest({ expression, arguments: given }: ts.CallExpression): { name: string } | null {
  let callee: ts.Expression = expression;
  while (ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee)) callee = callee.expression;
  const isTest = ts.isIdentifier(callee) && ['describe', 'it', 'test'].includes(callee.text);
  const [first] = given;
  if (!isTest || first === undefined || ts.isArrayLiteralExpression(first)) return null;
  return { name: ts.isStringLiteralLike(first) ? first.text : '' };
}
