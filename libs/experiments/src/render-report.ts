/** Writes the report of an experiment: HTML for people, Markdown with figures beside it, CSV and JSON for programs. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buildReport } from './build-report.js';
import type { ExperimentResults } from './experiment-results.js';
import { reportHtml } from './report-html.js';
import { reportMarkdown } from './report-markdown.js';
import { resultsCsv, resultsJson } from './results-files.js';

/**
 * The same results give the same files. Existing files of these names are overwritten.
 * @returns the paths that were written, the HTML first
 */
export async function renderReport(results: ExperimentResults, folder: string): Promise<string[]> {
  const { report, ...numbers } = await buildReport(results);
  const markdown = reportMarkdown(report);
  const files = new Map<string, string | Uint8Array>([
    ['report.html', reportHtml(report)],
    ['report.md', markdown.text],
    ['results.csv', resultsCsv(results)],
    ['results.json', resultsJson(results, numbers)],
    ...markdown.figures,
  ]);
  const paths: string[] = [];
  for (const [name, content] of files) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
    paths.push(path);
  }
  return paths;
}
