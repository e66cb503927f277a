/** Renders a report as one self-contained HTML file: no network, no script, pictures embedded. */
import { escapeXml } from './draw-chart.js';
import {
  type Cell,
  type Report,
  type ReportBlock,
  type ReportFigure,
  type ReportSection,
  type ReportTable,
  textOf,
} from './report-blocks.js';
import { reportStyle } from './report-style.js';

export function reportHtml(report: Report): string {
  const { title, subtitle, banners, summary, sections, mark } = report;
  const number = numbering();
  const lines = [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escapeXml(title)}</title>`,
    `<style>${reportStyle}${printedMark(report)}</style>`,
    '</head>',
    '<body>',
    '<header>',
    `<h1>${escapeXml(title)}</h1>`,
    `<p class="subtitle">${escapeXml(subtitle)}</p>`,
    ...banners.map(({ kind, text }) => `<div class="banner ${kind}" role="note">${escapeXml(text)}</div>`),
    '<section class="summary">',
    '<h2>In short</h2>',
    `<ul>${summary.map((line) => `<li>${escapeXml(line)}</li>`).join('')}</ul>`,
    '</section>',
    `<nav aria-label="Sections">${sections.map(({ id, title: name }) => `<a href="#${id}">${escapeXml(name)}</a>`).join(' ')}</nav>`,
    '</header>',
    '<main>',
    ...sections.map((section) => sectionHtml(section, mark, number)),
    '</main>',
    '</body>',
    '</html>',
  ];
  return `${lines.join('\n')}\n`;
}

/** The margin of every printed page: the title, the page number, and the remark on synthetic voices. */
function printedMark({ mark, title }: Report): string {
  const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, '').replaceAll(/[<>\n]/g, ' ')}"`;
  const box = 'font: 8pt Helvetica, Arial, sans-serif; color: #5c5c5c;';
  return [
    '@page {',
    `@top-left { content: ${quoted(title)}; ${box} }`,
    `@bottom-left { content: ${quoted(mark ?? '')}; ${box} color: #a34700; }`,
    `@bottom-right { content: counter(page) " / " counter(pages); ${box} }`,
    '}\n',
  ].join(' ');
}

type Numbering = (kind: 'Table' | 'Figure') => string;

export function numbering(): Numbering {
  const counts = { Table: 0, Figure: 0 };
  return (kind) => `${kind} ${++counts[kind]}.`;
}

function sectionHtml({ id, title, blocks }: ReportSection, mark: string | null, number: Numbering): string {
  return [
    `<section id="${id}">`,
    `<h2>${escapeXml(title)}</h2>`,
    ...blocks.map((block) => blockHtml(block, mark, number)),
    '</section>',
  ].join('\n');
}

function blockHtml(block: ReportBlock, mark: string | null, number: Numbering): string {
  switch (block.kind) {
    case 'table':
      return tableHtml(block, number('Table'));
    case 'figure':
      return figureHtml(block, mark, number('Figure'));
    case 'facts':
      return `<dl>${block.facts.map(([term, text]) => `<dt>${escapeXml(term)}</dt><dd>${escapeXml(text)}</dd>`).join('')}</dl>`;
    case 'text':
      return `<p>${escapeXml(block.text)}</p>`;
    case 'code':
      return `<pre><code>${escapeXml(block.text)}</code></pre>`;
  }
}

/** A table with more rows than this may break across pages. Shorter tables stay whole. */
const longTable = 18;

function tableHtml({ id, caption, columns, rows, notes = [] }: ReportTable, number: string): string {
  const head = columns.some(({ group }) => group !== undefined)
    ? groupedHead(columns)
    : `<tr>${columns.map((_, index) => headCell(columns, index)).join('')}</tr>`;
  const body = rows.map((row) => `<tr>${row.map((cell, index) => bodyCell(cell, columns, index)).join('')}</tr>`);
  return [
    `<div class="wide${rows.length > longTable ? ' long' : ''}"><table id="${id}">`,
    `<caption><b>${number}</b>${escapeXml(caption)}</caption>`,
    `<thead>${head}</thead>`,
    `<tbody>${body.join('\n')}</tbody>`,
    '</table>',
    ...notes.map((note) => `<p class="note">${escapeXml(note)}</p>`),
    '</div>',
  ].join('\n');
}

type Columns = ReportTable['columns'];

/** True if a group of columns begins at this column. A line separates it from the column to its left. */
const begins = (columns: Columns, index: number): boolean =>
  columns[index]?.group !== undefined && columns[index]?.group !== columns[index - 1]?.group;

function classOf(columns: Columns, index: number): string {
  const classes = [columns[index]?.numeric ? 'number' : '', begins(columns, index) ? 'begins' : ''].filter((name) => name !== '');
  return classes.length > 0 ? ` class="${classes.join(' ')}"` : '';
}

const headCell = (columns: Columns, index: number, more = ''): string =>
  `<th scope="col"${more}${classOf(columns, index)}>${escapeXml(columns[index]?.name ?? '')}</th>`;

function groupedHead(columns: Columns): string {
  const upper = columns.map(({ group }, index) => {
    if (group === undefined) return headCell(columns, index, ' rowspan="2"');
    if (!begins(columns, index)) return '';
    let span = 1;
    while (columns[index + span]?.group === group) span++;
    return `<th scope="colgroup" class="group begins" colspan="${span}">${escapeXml(group)}</th>`;
  });
  const lower = columns.map(({ group }, index) => (group === undefined ? '' : headCell(columns, index)));
  return `<tr>${upper.join('')}</tr><tr>${lower.join('')}</tr>`;
}

function bodyCell(cell: Cell, columns: Columns, index: number): string {
  const text = escapeXml(textOf(cell));
  return `<td${classOf(columns, index)}>${typeof cell === 'string' ? text : `<b>${text}</b>`}</td>`;
}

function figureHtml({ id, title, caption, svg, pictures = [] }: ReportFigure, mark: string | null, number: string): string {
  const shown = pictures.map(
    ({ heading, alt, png }) =>
      `<div><p>${escapeXml(heading)}</p><img alt="${escapeXml(alt)}" src="data:image/png;base64,${Buffer.from(png).toString('base64')}"></div>`,
  );
  return [
    `<figure id="${id}-block">`,
    svg ?? `<div class="pictures">${shown.join('\n')}</div>`,
    `<figcaption><b>${number} ${escapeXml(title)}.</b> ${escapeXml(caption)}${mark === null ? '' : ` <span class="mark">${escapeXml(mark)}</span>`}</figcaption>`,
    '</figure>',
  ].join('\n');
}
