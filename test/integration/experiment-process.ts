/** `undertone experiment` as a process, and what of its results must be the same again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ExperimentResults } from '#experiments/experiment-results.js';
import { packageRoot } from '#service/package-root.js';

/** @param out folder of the experiment */
export function startExperiment(file: string, out: string, ...more: string[]) {
  const words = [join(packageRoot, 'dist/apps/cli/src/main.js'), 'experiment', file, '--out', out, ...more];
  // A group of its own, so that a test can end all of it at once, as a machine does that loses its power.
  const child = spawn(process.execPath, words, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => (text += piece.toString()));
  return { child, ended: once(child, 'close').then(([code]) => ({ code: code as number | null, text })) };
}

/** All but when and how long. */
export function numbers(results: ExperimentResults | null) {
  const jobs = results?.results.map(({ wallSec: _wallSec, evaluations, ...result }) => ({
    ...result,
    evaluations: evaluations.map(({ evaluatedAt: _evaluatedAt, ...evaluation }) => evaluation),
  }));
  return { jobs, latents: results?.latents, reconstructions: results?.reconstructions };
}
