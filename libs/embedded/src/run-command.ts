/**
 * Runs a tool of the machine (mvn, pip, java, a compiler) to its end and turns a failure into one clear line. It keeps the output
 * of the tool but never prints it, so that a successful setup prints only our progress lines.
 */
import { spawn } from 'node:child_process';
import { constants, accessSync, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { PipelineError } from '#contracts/pipeline-error.js';

export interface RunCommandOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Default: 15 minutes, long enough for a slow mirror. */
  timeoutMs?: number;
  /** The start of the error line, such as "pip download of seaweedfs". Default: the command. */
  label?: string;
  /** The `PREREQUISITE_MISSING` line if the command is not installed. */
  ifMissing?: string;
}

const keptOutputBytes = 64 * 1024;

/**
 * Resolves with stdout and stderr together (the last 64 KiB).
 * Rejects with `PREREQUISITE_MISSING` (command not found), `DISK_FULL` (the tool reported it) or `SETUP_FAILED`.
 */
export async function runCommand(command: string, args: string[], options: RunCommandOptions = {}): Promise<string> {
  const label = options.label ?? command;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: options.cwd, env: options.env ?? process.env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-keptOutputBytes);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const timeoutMs = options.timeoutMs ?? 15 * 60_000;
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.once('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const missing = cause.code === 'ENOENT' || cause.code === 'EACCES';
      reject(
        missing
          ? new PipelineError('PREREQUISITE_MISSING', options.ifMissing ?? `${command} is not installed`, { cause })
          : new PipelineError('SETUP_FAILED', `${label} could not be started: ${cause.message}`, { cause }),
      );
    });
    child.once('close', (exitCode, signal) => {
      clearTimeout(timer);
      if (exitCode === 0) return resolve(output);
      if (/no space left on device|ENOSPC|disk quota exceeded/i.test(output)) {
        return reject(new PipelineError('DISK_FULL', `${label} failed: the disk is full (${options.cwd ?? 'temporary or cache folder'})`));
      }
      const ended = timedOut
        ? `took longer than ${timeoutMs / 1000} s`
        : signal
          ? `was ended by ${signal}`
          : `exited with code ${exitCode}`;
      reject(new PipelineError('SETUP_FAILED', `${label} ${ended}: ${tellingLine(output)}`, { cause: new Error(output.slice(-4000)) }));
    });
  });
}

/** Picks the last line that names an error, else the last line. */
export function tellingLine(output: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
  const plain = output.replace(/\u001b\[[0-9;]*m/g, '');
  const lines = plain
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const named = lines.filter(
    (line) => /error|fatal|exception/i.test(line) && !/^\[ERROR\]\s*(->.*|re-run.*|to see.*|for more.*)?$/i.test(line),
  );
  return (named[0] ?? lines.at(-1) ?? 'it printed nothing').slice(0, 400);
}

/** Absolute path of an executable on PATH, found without a shell; `undefined` if there is none. */
export function findOnPath(command: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  if (isAbsolute(command)) return isExecutable(command) ? command : undefined;
  const names = process.platform === 'win32' ? [`${command}.exe`, `${command}.cmd`, command] : [command];
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    for (const name of names) if (folder !== '' && isExecutable(join(folder, name))) return join(folder, name);
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
