/** Renders a report as Markdown with figures as files beside it, for readers without a browser and for code hosts. */
import { type Cell, type Report, type ReportBlock, type ReportTable, textOf } from './report-blocks.js';
import { numbering } from './report-html.js';

/** @returns the text, and its figures by their path relative to the text */
export function reportMarkdown({ title, subtitle, banners, summary, sections, mark }: Report): {
  text: string;
  figures: Map<string, string | Uint8Array>;
} {
  const figures = new Map<string, string | Uint8Array>();
  const number = numbering();
  const blockText = (block: ReportBlock): string => {
    switch (block.kind) {
      case 'table':
        return tableText(block, number('Table'));
      case 'facts':
        return block.facts.map(([term, text]) => `- **${escaped(term)}.** ${escaped(text)}`).join('\n');
      case 'text':
        return escaped(block.text);
      case 'code':
        return `\`\`\`yaml\n${block.text}\n\`\`\``;
      case 'figure': {
        const pictures =
          block.svg === undefined ? (block.pictures ?? []) : [{ name: block.id, alt: block.title, heading: '', png: block.svg }];
        const images = pictures.map(({ name, alt, heading, png }) => {
          const path = `figures/${name}.${typeof png === 'string' ? 'svg' : 'png'}`;
          figures.set(path, png);
          return `${heading === '' ? '' : `${escaped(heading)}\n\n`}![${escaped(alt)}](${path})`;
        });
        const caption = `**${number('Figure')} ${escaped(block.title)}.** ${escaped(block.caption)}${mark === null ? '' : ` _${escaped(mark)}_`}`;
        return [...images, caption].join('\n\n');
      }
    }
  };
  const parts = [
    `# ${escaped(title)}`,
    escaped(subtitle),
    ...banners.map(({ text }) => `> **${escaped(text)}**`),
    summary.map((line) => `- ${escaped(line)}`).join('\n'),
    ...sections.flatMap((section) => [`## ${escaped(section.title)}`, ...section.blocks.map(blockText)]),
  ];
  return { text: `${parts.join('\n\n')}\n`, figures };
}

function tableText({ caption, columns, rows, notes = [] }: ReportTable, number: string): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    `**${number}** ${escaped(caption)}`,
    [
      line(columns.map(({ group, name }) => escaped(group === undefined ? name : `${group}: ${name}`))),
      line(columns.map(({ numeric }) => (numeric ? '--:' : '---'))),
      ...rows.map((row) => line(row.map(cellText))),
    ].join('\n'),
    ...notes.map(escaped),
  ].join('\n\n');
}

const cellText = (cell: Cell): string => (typeof cell === 'string' ? escaped(cell) : `**${escaped(textOf(cell))}**`);

/** Escapes characters that Markdown would interpret. */
export const escaped = (text: string): string => text.replaceAll(/[\\`*_{}[\]<>|]/g, (char) => `\\${char}`).replaceAll('\n', ' ');
