/**
 * Everything that is neither PCM WAV nor FLAC, through an ffmpeg process. The only file that knows fluent-ffmpeg, which is
 * archived upstream (2.1.3 is its last release): it builds the command line and reads the progress output, nothing more,
 * and a plain spawn could replace it here. Source: the paper, Section IV-B, has audio files of six corpora.
 *
 * The bytes go into a temporary file (m4a and some mp3 need seeking); ffmpeg writes a float WAV at the source's rate and
 * channels to a pipe, and `WavStream` reads that as it comes. The demuxer is forced and only the `file` protocol allowed, so that no
 * file can make ffmpeg open another. Past its time limit the process is killed.
 *
 * Does not promise the same samples from another ffmpeg (its version is in `decoder`), nor to notice that a format without
 * a stated length (a bare mp3, ogg) was cut.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import createCommand from 'fluent-ffmpeg';
import { PipelineError } from '#contracts/pipeline-error.js';
import { type DecodedAudio, requireDuration } from './decoded-audio.js';
import type { FfmpegChoice } from './ffmpeg-config.js';
import { WavStream } from './wav-stream.js';

export interface FfmpegOptions {
  maxDurationSec: number;
  timeoutMs: number;
  /** null: none is installed. */
  ffmpeg: FfmpegChoice | null;
}

/** More than is taken: enough to see that a file is too long, without decoding all of it. */
const SPARE_SEC = 1;

/**
 * @param demuxer ffmpeg's name for the format of `bytes`
 * @throws DECODER_MISSING, AUDIO_UNDECODABLE, AUDIO_DECODE_TIMEOUT, AUDIO_TRUNCATED, AUDIO_EMPTY, AUDIO_TOO_LONG
 */
export async function decodeWithFfmpeg(bytes: Uint8Array, demuxer: string, options: FfmpegOptions): Promise<DecodedAudio> {
  const { ffmpeg, maxDurationSec } = options;
  if (!ffmpeg) throw missing(demuxer);
  const folder = await mkdtemp(join(tmpdir(), 'undertone-audio-'));
  try {
    const path = join(folder, 'audio');
    await writeFile(path, bytes);
    const { wav, log } = await runFfmpeg(path, demuxer, { ...options, ffmpeg });
    const { samples, sampleRateHz } = wav.finish();
    requireDuration(samples.length, sampleRateHz, maxDurationSec);
    requireStatedDuration(log, samples.length / sampleRateHz);
    return { samples, sampleRateHz, decoder: `ffmpeg ${ffmpeg.version}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

type RunOptions = FfmpegOptions & { ffmpeg: FfmpegChoice };

function runFfmpeg(
  path: string,
  demuxer: string,
  { ffmpeg, maxDurationSec, timeoutMs }: RunOptions,
): Promise<{ wav: WavStream; log: string }> {
  return new Promise((resolve, reject) => {
    const output = new PassThrough();
    const wav = new WavStream(maxDurationSec + SPARE_SEC);
    let timedOut = false;
    const command = createCommand({ source: path, stdoutLines: 200 })
      .setFfmpegPath(ffmpeg.path)
      .inputOptions(['-hide_banner', '-nostdin', '-protocol_whitelist', 'file', '-f', demuxer])
      .outputOptions(['-map', '0:a:0', '-map_metadata', '-1', '-fflags', '+bitexact', '-flags', '+bitexact'])
      .outputOptions(['-t', String(maxDurationSec + SPARE_SEC), '-f', 'wav', '-c:a', 'pcm_f32le']);
    const timer = setTimeout(() => {
      timedOut = true;
      command.kill('SIGKILL');
      fail(new Error('time is up')); // even if the process was not started yet
    }, timeoutMs);
    const fail = (error: Error, log = '') => {
      clearTimeout(timer);
      reject(timedOut ? timeout(timeoutMs, demuxer) : undecodable(demuxer, log, error));
    };
    command.on('start', () => {
      if (timedOut) command.kill('SIGKILL');
    });
    command.on('error', (error: Error, _stdout: string | null, log: string | null) => fail(error, log ?? ''));
    command.on('end', (_stdout: string | null, log: string | null) => {
      clearTimeout(timer);
      resolve({ wav, log: log ?? '' });
    });
    output.on('data', (piece: Buffer) => wav.push(piece));
    // `end: false`: fluent-ffmpeg takes the closing of the stream for a failure if the process has not ended yet.
    command.pipe(output, { end: false });
  });
}

/** The container's stated duration against what came out; not for estimates, and not where video may be what lasts longer. */
function requireStatedDuration(log: string, decodedSec: number): void {
  const stated = /Duration: (\d+):(\d+):([\d.]+)/.exec(log);
  const picture = /Stream #.*: Video: /.test(log);
  if (!stated || picture || log.includes('Estimating duration')) return;
  const statedSec = Number(stated[1]) * 3600 + Number(stated[2]) * 60 + Number(stated[3]);
  if (decodedSec < statedSec - Math.max(0.25, 0.02 * statedSec)) {
    throw new PipelineError('AUDIO_TRUNCATED', `${decodedSec.toFixed(2)} of the stated ${statedSec.toFixed(2)} s could be decoded`, {
      context: { decodedSec, statedSec },
    });
  }
}

function missing(demuxer: string): PipelineError {
  return new PipelineError(
    'DECODER_MISSING',
    `a ${demuxer} file needs ffmpeg: install it (for example: apt-get install ffmpeg), or set FFMPEG_BIN to its path`,
    { context: { demuxer } },
  );
}

function timeout(timeoutMs: number, demuxer: string): PipelineError {
  return new PipelineError('AUDIO_DECODE_TIMEOUT', `ffmpeg took longer than ${timeoutMs} ms`, { context: { timeoutMs, demuxer } });
}

function undecodable(demuxer: string, log: string, cause: Error): PipelineError {
  const last = (log.trim().split('\n').at(-1) ?? '').replace(/^\S*undertone-audio-\S*: /, ''); // the temporary file's name
  return new PipelineError('AUDIO_UNDECODABLE', `ffmpeg cannot decode the ${demuxer} file${last ? `: ${last}` : ''}`, {
    cause,
    context: { demuxer },
  });
}
