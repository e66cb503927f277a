/**
 * Finds a decoder for formats other than WAV and FLAC: `FFMPEG_BIN`, else the binary of `ffmpeg-static` (absent if its download
 * script did not run), else `ffmpeg` on PATH, else the static binary of the PyPI wheel `imageio-ffmpeg`.
 */
import { chmod, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { PipelineError } from '#contracts/pipeline-error.js';
import { packageRoot } from '#service/package-root.js';
import { provisionFolder, type PartOptions, type ProvisionedFolder } from './cache-directory.js';
import { downloadWheel } from './pip-wheel.js';
import { findOnPath, runCommand } from './run-command.js';
import { unzip } from './unzip.js';

export interface FfmpegInstall {
  /** The path for FFMPEG_BIN. */
  path: string;
  source: 'FFMPEG_BIN' | 'ffmpeg-static' | 'PATH' | 'imageio-ffmpeg';
  /** Only if the wheel provides ffmpeg. */
  folder?: ProvisionedFolder;
}

/** @throws PipelineError `PREREQUISITE_MISSING`, `SETUP_FAILED`, `DISK_FULL`. The caller may continue with WAV and FLAC only. */
export async function provisionFfmpeg(
  root: string,
  env: NodeJS.ProcessEnv = process.env,
  options: PartOptions = {},
): Promise<FfmpegInstall> {
  const present = findFfmpeg(env);
  if (present) return present;
  const name = process.platform === 'win32' ? 'ffmpeg.exe' : 'ffmpeg';
  const folder = await provisionFolder(
    root,
    `ffmpeg-imageio-0.6.0-${process.platform}-${process.arch}`,
    async (temporary) => {
      const instead = 'or run apt-get install ffmpeg';
      const wheel = await downloadWheel({ requirement: 'imageio-ffmpeg', folder: temporary, instead, env });
      const isBinary = (member: string): boolean => /\/binaries\/ffmpeg-[^/]+$/.test(member);
      const [binary] = await unzip(wheel.path, (member) => (isBinary(member) ? join(temporary, name) : undefined));
      if (!binary) throw new PipelineError('SETUP_FAILED', `the wheel ${basename(wheel.path)} holds no ffmpeg for this platform`);
      await rm(wheel.path);
      await chmod(binary, 0o755);
      await runCommand(binary, ['-version'], { label: 'ffmpeg -version', timeoutMs: 30_000 });
      return 'wheel by sha256';
    },
    options,
  );
  return { path: join(folder.path, name), source: 'imageio-ffmpeg', folder };
}

function findFfmpeg(env: NodeJS.ProcessEnv): FfmpegInstall | undefined {
  const chosen = env['FFMPEG_BIN'];
  if (chosen) {
    const path = findOnPath(chosen, env);
    if (!path)
      throw new PipelineError(
        'PREREQUISITE_MISSING',
        `FFMPEG_BIN names ${chosen}, which is not executable: set it to an ffmpeg binary, or unset it`,
      );
    return { path, source: 'FFMPEG_BIN' };
  }
  const bundled = bundledFfmpeg();
  if (bundled && findOnPath(bundled, env)) return { path: bundled, source: 'ffmpeg-static' };
  const onPath = findOnPath('ffmpeg', env);
  return onPath ? { path: onPath, source: 'PATH' } : undefined;
}

/** The path where `ffmpeg-static` puts its binary. */
function bundledFfmpeg(): string | undefined {
  try {
    return createRequire(join(packageRoot, 'package.json'))('ffmpeg-static') as string | undefined;
  } catch {
    return undefined;
  }
}
