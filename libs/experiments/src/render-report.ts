/** The report of an experiment: results.json, and a table in Markdown. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExperimentResults } from './experiment-results.js';
import { summariseRows } from './summarise-rows.js';

/** @returns the paths that were written */
export function renderReport(results: ExperimentResults, folder: string): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const lines = summariseRows(results).map(
    ({ label, done, planned, wa, ua }) => `| ${label} | ${done} of ${planned} | ${percent(wa)} | ${percent(ua)} |`,
  );
  const text = [`# ${results.experiment.title}`, '', '| row | jobs | WA | UA |', '| --- | --- | --- | --- |', ...lines, ''].join('\n');
  const paths = [join(folder, 'results.json'), join(folder, 'report.md')];
  const { latents: _latents, reconstructions: _reconstructions, ...numbers } = results;
  writeFileSync(paths[0]!, `${JSON.stringify(numbers, null, 1)}\n`);
  writeFileSync(paths[1]!, text);
  return Promise.resolve(paths);
}

const percent = (share: number | null): string => (share === null ? '–' : (100 * share).toFixed(1));
