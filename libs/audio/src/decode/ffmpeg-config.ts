/**
 * Chooses the ffmpeg that decodes every format but WAV and FLAC. The choice is `FFMPEG_BIN` if set, else the binary of the
 * optional package ffmpeg-static if its download worked, else `ffmpeg` on the PATH. Without any, a file that needs one is
 * refused (DECODER_MISSING).
 *
 * It does not promise that the binary knows every format: it asks the binary for its version only.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { z } from 'zod';

export interface FfmpegChoice {
  path: string;
  /** For people: where the binary was found. */
  why: string;
  /** As ffmpeg prints it, for example `5.1.6-0+deb12u1`. */
  version: string;
}

/** For docs/configuration.md. Features and the commands that decode audio read it. */
export const ffmpegVariables = {
  FFMPEG_BIN: z
    .string()
    .optional()
    .describe(
      'The ffmpeg that decodes every format but WAV and FLAC. Without it features takes the package ffmpeg-static, else `ffmpeg` on `PATH`. A stack adds one that set-up fetched. ¹',
    ),
};

/** Counts changes of how ffmpeg is called that may change samples: 2 fills gaps, and resamples what is above 48 kHz. */
const CALL_VERSION = 2;
/** Names the decoder, for `decoder` and for the feature settings. */
export const ffmpegDecoder = ({ version }: Pick<FfmpegChoice, 'version'>): string => `undertone-ffmpeg ${CALL_VERSION}, ffmpeg ${version}`;

/** Ffmpeg resamples a file with a higher rate to this rate. */
export const MOST_FFMPEG_RATE_HZ = 48_000;

/** @returns null if there is none, or if `FFMPEG_BIN` names a file that does not run: such a setting is never ignored silently */
export function chooseFfmpeg(env: Readonly<NodeJS.ProcessEnv> = process.env): FfmpegChoice | null {
  const named = env.FFMPEG_BIN;
  if (named) return asked(named, 'FFMPEG_BIN', env);
  const packaged = pathOfFfmpegStatic();
  return (packaged ? asked(packaged, 'the package ffmpeg-static', env) : null) ?? asked('ffmpeg', 'PATH', env);
}

function asked(path: string, why: string, env: NodeJS.ProcessEnv): FfmpegChoice | null {
  const { status, stdout } = spawnSync(path, ['-version'], { env, encoding: 'utf8', timeout: 10_000, windowsHide: true });
  const version = /^ffmpeg version (\S+)/.exec(stdout ?? '')?.[1];
  return status === 0 && version ? { path, why, version } : null;
}

function pathOfFfmpegStatic(): string | null {
  try {
    const path: unknown = createRequire(import.meta.url)('ffmpeg-static');
    return typeof path === 'string' && existsSync(path) ? path : null;
  } catch {
    return null; // an optional dependency
  }
}
