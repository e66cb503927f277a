/** Runs the command line as a process against the topics and the bucket of a pipeline under test. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { packageRoot } from '#service/package-root.js';
import type { RunningPipeline } from './running-pipeline.js';

export interface CommandResult {
  code: number | null;
  text: string;
  errors: string;
  /** The parsed output of a command with --json. */
  json: <Shape>() => Shape;
}

export async function undertone({ environment, logsDir }: RunningPipeline, ...words: string[]): Promise<CommandResult> {
  const child = spawn(process.execPath, [join(packageRoot, 'dist/apps/cli/src/main.js'), ...words], {
    env: { ...environment, UNDERTONE_HOME: logsDir },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  let errors = '';
  child.stdout.on('data', (piece: Buffer) => (text += piece.toString()));
  child.stderr.on('data', (piece: Buffer) => (errors += piece.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, text, errors, json: <Shape>() => JSON.parse(text) as Shape };
}
