/** Runs `undertone experiment` as a process, and reads the results that must repeat exactly. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ExperimentResults } from '#experiments/experiment-results.js';
import { packageRoot } from '#service/package-root.js';

/** @param out folder of the experiment */
export function startExperiment(file: string, out: string, ...more: string[]) {
  const words = [join(packageRoot, 'dist/apps/cli/src/main.js'), 'experiment', file, '--out', out, ...more];
  // The process has its own group, so that a test can kill all of it at once, like a power cut.
  const child = spawn(process.execPath, words, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => (text += piece.toString()));
  return { child, ended: once(child, 'close').then(([code]) => ({ code: code as number | null, text })) };
}

/** All results except dates and durations. */
export function numbers(results: ExperimentResults | null) {
  const jobs = results?.results.map(({ wallSec: _wallSec, evaluations, ...result }) => ({
    ...result,
    evaluations: evaluations.map(({ evaluatedAt: _evaluatedAt, ...evaluation }) => evaluation),
  }));
  return { jobs, latents: results?.latents, reconstructions: results?.reconstructions };
}
