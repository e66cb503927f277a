import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ExperimentResults } from './experiment-results.js';
import { madeBars, madeLines, madeResults, madeTable } from './made-results.fixture.js';
import { renderReport } from './render-report.js';

const folder = mkdtempSync(join(tmpdir(), 'report-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Rendered {
  paths: string[];
  html: string;
  markdown: string;
  csv: string;
  json: string;
}

/** Renders without the map of latent codes, which takes half of the time. */
const render = (name: string, results: ExperimentResults): Promise<Rendered> =>
  renderWhole(name, { ...results, latents: [], reconstructions: [] });

async function renderWhole(name: string, results: ExperimentResults): Promise<Rendered> {
  const paths = await renderReport(results, join(folder, name));
  const read = (file: string): string => readFileSync(join(folder, name, file), 'utf8');
  return { paths, html: read('report.html'), markdown: read('report.md'), csv: read('results.csv'), json: read('results.json') };
}

const small = { folds: 3, seeds: [1], speakersPerFold: 2, utterancesPerSpeaker: 8 };

function ofTargets(results: ExperimentResults, targets: string[]): ExperimentResults {
  const rows = results.rows.filter(({ target }) => targets.includes(target));
  const ids = new Set(rows.map(({ id }) => id));
  return { ...results, rows, results: results.results.filter(({ job }) => ids.has(job.rowId)) };
}

describe.each([
  ['table', () => madeTable(small)],
  ['bars', () => ofTargets(madeBars(small), ['emotion', 'clusters-3'])],
  ['lines', () => madeLines({ ...small, points: [100, 400] })],
] as const)('the report of a %s', (layout, make) => {
  let rendered: Rendered;
  beforeAll(async () => void (rendered = await renderWhole(layout, make())), 60_000);

  it('is one HTML file that loads nothing from elsewhere', () => {
    const sources = [...rendered.html.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1] as string);
    expect(sources.length).toBeGreaterThan(5);
    for (const source of sources) expect(source).toMatch(/^(#|data:image\/png;base64,)/);
    expect(rendered.html.match(/<script|<link|@import|url\((?!#)/)?.[0]).toBeUndefined();
  });

  it('gives every figure a text alternative, and every element a unique id', () => {
    const drawings = rendered.html.match(/<svg .*?<\/svg>/gs) ?? [];
    expect(drawings.length).toBeGreaterThan(3);
    for (const drawing of drawings)
      expect(drawing).toMatch(/^<svg [^>]*role="img"[^>]*><title id="[^"]+">[^<]+<\/title><desc id="[^"]+">[^<]+<\/desc>/);
    for (const image of rendered.html.match(/<img [^>]*>/g) ?? []) expect(image).toMatch(/alt="[^"]+"/);
    const ids = [...rendered.html.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]);
    expect(ids.length).toBe(new Set(ids).size);
    for (const used of rendered.html.matchAll(/url\(#([^)]+)\)/g)) expect(ids).toContain(used[1]);
    for (const [, labels = ''] of rendered.html.matchAll(/aria-labelledby="([^"]+)"/g))
      expect(ids).toEqual(expect.arrayContaining(labels.split(' ')));
  });

  it('closes every tag that it opens', () => {
    const open: string[] = [];
    for (const [, slash, tag, rest] of rendered.html.matchAll(/<(\/?)([a-zA-Z][\w]*)((?:"[^"]*"|[^">])*)>/g)) {
      if (rest?.endsWith('/') || ['meta', 'img'].includes(tag as string)) continue;
      if (slash === '') open.push(tag as string);
      else expect(open.pop()).toBe(tag);
    }
    expect(open).toEqual([]);
  });

  it('marks synthetic voices at the top, in every figure’s caption and on every printed page', () => {
    const captions = rendered.html.match(/<figcaption>.*?<\/figcaption>/gs) ?? [];
    expect(captions.length).toBeGreaterThan(4);
    for (const caption of captions) expect(caption).toContain('Synthetic voices: no evidence about real emotion.');
    expect(rendered.html.indexOf('class="banner synthetic"')).toBeLessThan(rendered.html.indexOf('<figure'));
    expect(rendered.html).toContain('@bottom-left { content: "Synthetic voices: no evidence about real emotion."');
    expect(rendered.markdown.match(/_Synthetic voices: no evidence about real emotion\._/g)).toHaveLength(captions.length);
  });

  it('gives each table a caption and as many cells as columns', () => {
    for (const table of rendered.html.match(/<table .*?<\/table>/gs) ?? []) {
      expect(table).toMatch(/<caption><b>Table \d+\.<\/b>[^<]{30,}<\/caption>/);
      const widths = (table.match(/<tbody>.*<\/tbody>/s)?.[0].match(/<tr>.*?<\/tr>/gs) ?? []).map((row) => row.match(/<td/g)?.length);
      expect(new Set(widths).size).toBe(1);
    }
  });

  it('links existing figure files in Markdown', () => {
    const shown = [...rendered.markdown.matchAll(/!\[[^\]]+\]\(([^)]+)\)/g)].map((match) => join(folder, layout, match[1] as string));
    expect(shown.length).toBeGreaterThan(4);
    for (const path of shown) expect(rendered.paths).toContain(path);
  });

  it('is identical when rendered again', async () => {
    const again = await renderWhole(`${layout}-again`, make());
    expect({ ...again, paths: [] }).toEqual({ ...rendered, paths: [] });
  });
});

it('writes a CSV row for each job and task that parses back to the same numbers', async () => {
  const results = madeTable({ ...small, title: 'commas, "quotes"' });
  results.rows[1] = { ...(results.rows[1] as ExperimentResults['rows'][number]), label: 'Functionals, "eGeMAPS"\nand more' };
  const { csv } = await render('csv', results);
  const records = parse<Record<string, string>>(csv, { columns: true });
  const expected = results.results.flatMap(({ job, evaluations }) => evaluations.map(({ task, ua }) => `${job.jobId} ${task} ${ua}`));
  expect(records.map(({ job, task, ua }) => `${job} ${task} ${ua}`)).toEqual(expected);
  expect(records.find(({ row }) => row === 'functionals')).toMatchObject({ label: 'Functionals, "eGeMAPS"\nand more', synthetic: 'true' });
  expect(records[0]?.['recall']).toBe('angry=1;happy=0;neutral=0;sad=0');
});

it('writes summaries and comparisons to JSON, without predictions, curves and codes', async () => {
  const results = madeTable(small);
  const { json } = await renderWhole('json', results);
  const content = JSON.parse(json) as { summaries: { row: string; ua: { mean: number } }[]; comparisons: unknown[]; jobs: object[] };
  expect(content.jobs).toHaveLength(results.results.length);
  expect(content.comparisons).toHaveLength(10);
  expect(content.jobs[0]).not.toHaveProperty('predictions');
  expect(content.summaries.find(({ row }) => row === 'majority')?.ua.mean).toBe(0.25);
});

it('prints a quoted row with the paper’s number and a dash for ours', async () => {
  const { markdown } = await render('quoted', madeTable(small));
  expect(markdown).toContain('| CNN \\[83\\] | – | – | – | – | – | – | 64.22 | – |');
  expect(markdown).toContain('Quoted only, not run here: CNN \\[83\\]');
});

it('escapes markup in all text', async () => {
  const { html, markdown } = await render('markup', madeTable({ ...small, title: '<script>alert("x")</script> & `co` | a_b' }));
  expect(html).not.toContain('<script');
  expect(html).toContain('&lt;script&gt;');
  expect(markdown.split('\n')[0]).toBe('# \\<script\\>alert("x")\\</script\\> & \\`co\\` \\| a\\_b');
});

it('draws a reference that the sweep does not affect as a level line, and never names a best point of it', async () => {
  const results = madeResults({
    layout: 'lines',
    rows: [
      { id: 'reference', label: 'Reference', skill: 3, system: 'functionals' },
      { id: 'one', label: 'One', skill: 0.3, auxiliary: ['gender'] },
    ],
    points: [100, 400],
    ...small,
  });
  const isAt100 = ({ job }: { job: { rowId: string; point: number | null } }) => job.rowId !== 'reference' || job.point === 100;
  const { html, markdown } = await render('level', { ...results, results: results.results.filter(isAt100) });
  expect(html).toContain('Level lines without a band are references');
  expect(rulesIn('level')).toBeGreaterThan(0);
  expect(markdown).toMatch(/Highest UA in categorical emotion: Reference, \d/);
  const moving = await render('moving', results);
  expect(moving.html).not.toContain('Level lines');
  expect(rulesIn('moving')).toBe(0);
  expect(moving.markdown).toMatch(/Highest UA in categorical emotion: Reference at/);
  // The reference's other point is unfinished.
  const missing = results.results.filter((each) => !isAt100(each)).map(({ job }) => job);
  const partial = await render('partial', { ...results, results: results.results.filter(isAt100), missing });
  expect(partial.html).not.toContain('Level lines');
});

/** Counts lines that are marks, not axes or grids. */
const rulesIn = (name: string): number =>
  [...readFileSync(join(folder, name, 'figures/figure-scores.svg'), 'utf8').matchAll(/class="mark-rule role-mark[^>]*>\s*<line/g)].length;

it('gives the alpha and beta only of rows that have them', async () => {
  const rows = [
    { id: 'aae', skill: 1, system: 'aae', auxiliary: ['gender'] },
    { id: 'cnn', skill: 1, system: 'cnn' },
  ] satisfies Parameters<typeof madeResults>[0]['rows'];
  const results = madeResults({ layout: 'table', rows, ...small });
  for (const { job } of results.results) Object.assign(job, job.rowId === 'aae' ? { alpha: 0.4, beta: 0.8 } : { alpha: 0.9, beta: 0.1 });
  const { markdown } = await render('weights', results);
  expect(markdown).toContain('**α.** 0.4; as the settings give it, not searched');
  expect(markdown).toContain('**β.** 0.8; as the settings give it, not searched');
  const searched = { ...results.protocol, searched: { alpha: true, beta: false } };
  const found = await render('searched', { ...results, protocol: searched });
  expect(found.markdown).toContain('**α.** 0.4; searched on dev speakers only');
  expect(found.markdown).toContain('**β.** 0.8; as the settings give it, not searched');
  const cnnAlone = { ...results, rows: results.rows.slice(1), results: results.results.filter(({ job }) => job.rowId === 'cnn') };
  expect((await render('no-weights', cnnAlone)).markdown).not.toMatch(/[αβ]\./);
});

describe('a report of incomplete results', () => {
  const one = { id: 'one', label: 'One', skill: 1 };

  it('has no banner for real speech', async () => {
    const { html, markdown } = await render('real', madeTable({ ...small, isSynthetic: false }));
    expect(/synthetic voices|class="banner/i.test(html)).toBe(false);
    expect(/synthetic/i.test(markdown)).toBe(false);
  });

  it('is called partial and lists the missing jobs', async () => {
    const results = madeTable({ ...small, seeds: [1, 2], missingShare: 0.3 });
    const { html } = await render('missing', results);
    expect(html).toContain(`Partial: ${results.missing.length} jobs of ${results.missing.length + results.results.length} not done`);
    expect(html).toContain(`Jobs that were planned and are not done: ${results.missing.length}.`);
  });

  it('renders without any job', async () => {
    const results = madeTable({ ...small, missingShare: 1.1 });
    const { html } = await render('nothing', { ...results, latents: [], reconstructions: [] });
    expect(html).toContain('No job is done yet');
    expect(html).toContain('64.22');
    expect(html.match(/NaN|Infinity/)?.[0]).toBeUndefined();
  });

  it('gives no deviation and no comparison for one fold of one system', async () => {
    const { html } = await render('one', madeResults({ layout: 'table', rows: [one], folds: 1, speakersPerFold: 6 }));
    expect(html).toContain('This experiment has fewer than two systems, so there is nothing to compare.');
    expect(html.match(/NaN|Infinity|undefined|null/)?.[0]).toBeUndefined();
  });

  it('explains why fewer than five speakers have no interval', async () => {
    const { html } = await render('few', madeTable({ ...small, folds: 2 }));
    expect(html).toContain('Fewer than five test speakers known by name give no interval');
    expect(html).toContain('Not tested: fewer than 5 speakers.');
  });

  it('renders when no speaker is known', async () => {
    const results = madeTable(small);
    for (const { predictions } of results.results) for (const { rows } of predictions) for (const row of rows) row.speakerId = '';
    const { html } = await render('unknown', results);
    expect(html).toContain('of unknown speakers');
    expect(html).toContain('Not tested: fewer than 5 speakers.');
  });

  it('takes means and confusion from the evaluations when no predictions were kept, and gives no intervals', async () => {
    const results = madeTable(small);
    results.results = results.results.map((each) => ({ ...each, predictions: [] }));
    const { html, json } = await render('no-predictions', results);
    expect(html).toContain('they have no predictions of one fold and seed in common');
    expect(html).toContain('No predictions were kept');
    const { summaries } = JSON.parse(json) as { summaries: { ua: { pooled: number; interval: unknown }; utterances: number }[] };
    expect(summaries[0]).toMatchObject({ ua: { pooled: 0.25, interval: null }, utterances: 48 });
    expect(html.match(/NaN|Infinity/)?.[0]).toBeUndefined();
  });

  it('renders when only one class occurs', async () => {
    const results = madeResults({
      layout: 'bars',
      rows: [one, { ...one, id: 'two', label: 'Two' }],
      folds: 3,
      speakersPerFold: 2,
      utterancesPerSpeaker: 1,
    });
    const { html } = await render('one-class', results);
    expect(html.match(/NaN|Infinity/)?.[0]).toBeUndefined();
  });

  it('draws no latent map of too few codes', async () => {
    const results = madeTable(small);
    const { html } = await renderWhole('few-codes', { ...results, latents: results.latents.slice(0, 5), reconstructions: [] });
    expect(html).toContain('a map needs the codes of at least 10 utterances');
  });
});
