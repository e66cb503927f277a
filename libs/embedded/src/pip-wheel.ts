/**
 * Downloads wheels with pip and accepts only the bytes whose hash is committed in `deploy/embedded/requirements/`. It uses pip,
 * not a URL, so that the user's mirror, proxy and certificate settings apply.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PipelineError } from '#contracts/pipeline-error.js';
import { assetPath } from './asset-path.js';
import { findOnPath, runCommand } from './run-command.js';

export interface DownloadWheelsOptions {
  /** `NAME` of `deploy/embedded/requirements/NAME.txt`. */
  requirement: string;
  /** The folder for the wheels. */
  folder: string;
  /** The alternative to pip, for the error: "or set S3_ENDPOINT to your own server". */
  instead: string;
  /** Extra arguments of `pip download`: `--platform`, `--python-version`. */
  pipArguments?: string[];
  env?: NodeJS.ProcessEnv;
}

/** The one wheel of a requirement. @throws PipelineError as `downloadWheels` */
export async function downloadWheel(options: DownloadWheelsOptions): Promise<{ path: string; sizeBytes: number }> {
  const [path = ''] = await downloadWheels(options);
  return { path, sizeBytes: (await stat(path)).size };
}

/**
 * @returns paths
 * @throws PipelineError `PREREQUISITE_MISSING` (no python3 or no pip), `SETUP_FAILED` (no network, another hash), `DISK_FULL`.
 */
export async function downloadWheels(options: DownloadWheelsOptions): Promise<string[]> {
  const env = options.env ?? process.env;
  const python = env['PYTHON'] ?? 'python3';
  const missing = `pip is missing: run apt-get install python3-pip, ${options.instead}`;
  if (!findOnPath(python, env)) throw new PipelineError('PREREQUISITE_MISSING', missing);
  const requirementFile = assetPath('requirements', `${options.requirement}.txt`);
  const args = ['-m', 'pip', '--disable-pip-version-check', '--no-input', 'download', '--quiet', '--no-deps', '--no-cache-dir'];
  args.push(
    '--only-binary=:all:',
    '--require-hashes',
    ...(options.pipArguments ?? []),
    '--dest',
    options.folder,
    '--requirement',
    requirementFile,
  );
  try {
    await runCommand(python, args, { cwd: options.folder, env, label: `pip download of ${options.requirement}` });
  } catch (error) {
    if (error instanceof PipelineError && String((error.cause as Error | undefined)?.message).includes('No module named pip')) {
      throw new PipelineError('PREREQUISITE_MISSING', missing, { cause: error });
    }
    throw error;
  }
  const wheels = (await readdir(options.folder)).filter((name) => name.endsWith('.whl'));
  if (wheels.length === 0)
    throw new PipelineError(
      'SETUP_FAILED',
      `pip download of ${options.requirement} left no wheel: check the package mirror of pip, then run setup again`,
    );
  return wheels.map((name) => join(options.folder, name));
}
