/** Writes a bench's results into a document, as a section of the second level that replaces the one with the same title. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

export function writeSection(file: string, title: string, body: string): void {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const sections = text.split(/^(?=## )/m);
  const at = sections.findIndex((section) => section.startsWith(`## ${title}\n`));
  const isLast = at === -1 || at === sections.length - 1;
  const section = `## ${title}\n\n${body.trim()}\n${isLast ? '' : '\n'}`;
  if (at === -1) sections.push(text === '' || text.endsWith('\n\n') ? section : `\n${section}`);
  else sections[at] = section;
  writeFileSync(file, sections.join(''));
}
