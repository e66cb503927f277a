/**
 * Decodes every format but PCM WAV and FLAC with an ffmpeg process. Only this file knows fluent-ffmpeg, which is archived
 * upstream (2.1.3 is its last release). It only builds the command line and reads the progress output, so a plain spawn could
 * replace it here. Source: the paper, Section IV-B, has audio files of six corpora.
 *
 * The bytes go into a temporary file, because m4a and some mp3 need seeking. Ffmpeg writes a float WAV with the rate and
 * channels of the source to a pipe, and `WavStream` reads it as it comes. The demuxer is forced and only the `file` protocol
 * is allowed, so that no file can make ffmpeg open another. The process is killed at its time limit, and its memory is
 * limited (limit-memory.ts).
 *
 * Containers with timestamps may lack packets: a muted microphone, Opus that sends nothing in silence. Silence fills these
 * gaps, so that later sound keeps its time. If the sound starts late, no silence is put in front.
 *
 * Ffmpeg resamples a file above 48 kHz to 48 kHz, so that ten minutes of it are no larger than ten minutes of other files.
 *
 * Does not promise the same samples from another ffmpeg (`decoder` has its version). Does not notice a cut in a format without
 * a stated length (a bare mp3, ogg).
 */
import { PassThrough } from 'node:stream';
import createCommand from 'fluent-ffmpeg';
import { PipelineError } from '#contracts/pipeline-error.js';
import { isWhole, statesDuration } from './container-structure.js';
import { type DecodedAudio, requireDuration } from './decoded-audio.js';
import { type FfmpegChoice, ffmpegDecoder, MOST_FFMPEG_RATE_HZ } from './ffmpeg-config.js';
import { FfmpegLog } from './ffmpeg-log.js';
import { release } from '../growing-samples.js';
import { ffmpegMemoryBytes, limitMemory } from './limit-memory.js';
import { withTemporaryFile } from './temporary-audio.js';
import { RateTooHigh, WavStream } from './wav-stream.js';

export interface FfmpegOptions {
  maxDurationSec: number;
  timeoutMs: number;
  /** null if none is installed. */
  ffmpeg: FfmpegChoice | null;
  /** If more samples come, decoding throws NeedsMemory. */
  allowedSamples?: number;
}

/** Seconds decoded beyond the limit: enough to see that a file is too long, without decoding all of it. */
const SPARE_SEC = 1;
/** Formats whose packets carry their times. */
const TIMED = ['ogg', 'mov', 'matroska', 'asf'];
/** A shorter gap is jitter of the clock that wrote the timestamps. */
const LEAST_GAP_SEC = 0.1;

/**
 * A filter that finds gaps. For each gap it prints, for FfmpegLog, the seconds of sound before it and its length. Sound that
 * comes earlier than expected is not a gap and changes nothing: in chained ogg files every link begins at 0 again. Registers
 * of the expression: 0 the gap before this packet, 1 the time reached, 2 the seconds of sound so far. `WavStream` inserts the
 * silence later, because ffmpeg's own `aresample=async` holds a whole gap in memory, and fails if it gets none.
 */
const FIND_GAPS = [
  'st(0,if(N,T-ld(1),0*st(1,if(isnan(T),0,T))))',
  `if(gt(ld(0),${LEAST_GAP_SEC}),print(ld(2))+print(ld(0))+st(1,ld(1)+ld(0)),0)`,
  'st(1,ld(1)+NB_SAMPLES/SR)',
  'st(2,ld(2)+NB_SAMPLES/SR)',
  '(ld(2)-NB_SAMPLES/SR)/TB',
].join(';');

/**
 * @param demuxer ffmpeg's name for the format of `bytes`
 * @throws DECODER_MISSING, AUDIO_UNDECODABLE, AUDIO_DECODE_TIMEOUT, AUDIO_TRUNCATED, AUDIO_EMPTY, AUDIO_TOO_LONG, AUDIO_TOO_LARGE,
 * DISK_FULL_WAITING; NeedsMemory beyond `allowedSamples`
 */
export async function decodeWithFfmpeg(bytes: Uint8Array, demuxer: string, options: FfmpegOptions): Promise<DecodedAudio> {
  const { ffmpeg, maxDurationSec } = options;
  if (!ffmpeg) throw missing(demuxer);
  return withTemporaryFile(bytes, async (path) => {
    const { wav, log } = await atMostUsualRate((rateHz) => runFfmpeg(path, demuxer, { ...options, ffmpeg, rateHz }));
    requireDuration(wav.durationSec + log.gapSec, 1, maxDurationSec);
    wav.insertSilence(log.gaps);
    const { samples, sampleRateHz } = wav.finish();
    requireSound(log, bytes, { demuxer, decodedSec: samples.length / sampleRateHz });
    return { samples, sampleRateHz, decoder: ffmpegDecoder(ffmpeg) };
  });
}

async function atMostUsualRate<Result>(decode: (rateHz: number | null) => Promise<Result>): Promise<Result> {
  try {
    return await decode(null);
  } catch (error) {
    if (!(error instanceof RateTooHigh)) throw error;
    return decode(MOST_FFMPEG_RATE_HZ);
  }
}

/** @property rateHz null for the rate of the source */
type RunOptions = FfmpegOptions & { ffmpeg: FfmpegChoice; rateHz: number | null };

function runFfmpeg(path: string, demuxer: string, options: RunOptions): Promise<{ wav: WavStream; log: FfmpegLog }> {
  const { ffmpeg, maxDurationSec, timeoutMs, rateHz, allowedSamples } = options;
  return new Promise((resolve, reject) => {
    const output = new PassThrough();
    const mostSec = maxDurationSec + SPARE_SEC;
    const wav = new WavStream({ maxDurationSec: mostSec, mostRateHz: MOST_FFMPEG_RATE_HZ, allowedSamples });
    const log = new FfmpegLog();
    const filters = [...(TIMED.includes(demuxer) ? [`asetpts='${FIND_GAPS}'`] : []), ...(rateHz === null ? [] : [`aresample=${rateHz}`])];
    let reason: Error | null = null;
    const command = createCommand({ source: path, stdoutLines: 1 })
      .setFfmpegPath(ffmpeg.path)
      .inputOptions(['-hide_banner', '-nostdin', '-nostats', '-threads', '1', '-protocol_whitelist', 'file', '-f', demuxer])
      .outputOptions(['-map', '0:a:0', '-map_metadata', '-1', '-fflags', '+bitexact', '-flags', '+bitexact'])
      .outputOptions(filters.length > 0 ? ['-af', filters.join(',')] : [])
      .outputOptions(['-t', String(mostSec), '-f', 'wav', '-c:a', 'pcm_f32le']);
    const stop = (error: Error) => {
      reason ??= error;
      command.kill('SIGKILL');
      fail(error); // even if the process has not started yet
    };
    const timer = setTimeout(() => stop(timeout(timeoutMs, demuxer)), timeoutMs);
    const fail = (error: Error) => {
      clearTimeout(timer);
      reject(reason ?? (log.outOfMemory ? tooLarge(demuxer, error) : undecodable(demuxer, log.last, error)));
    };
    command.on('start', () => {
      if (reason) command.kill('SIGKILL');
      else limitMemory((command as unknown as { ffmpegProc?: { pid?: number } }).ffmpegProc?.pid);
    });
    command.on('stderr', (line: string) => log.take(line));
    command.on('error', fail);
    command.on('end', () => {
      clearTimeout(timer);
      resolve({ wav, log });
    });
    output.on('data', (piece: Buffer) => {
      try {
        if (!reason) wav.push(piece);
      } catch (error) {
        stop(error as Error); // the header is refused, or more memory is needed
      }
      // Left to the garbage collector, the pieces would take 64 MB more in each thread.
      if (piece.length === piece.buffer.byteLength) release(piece);
    });
    // `end: false`: if the stream closes before the process ends, fluent-ffmpeg takes that for a failure.
    command.pipe(output, { end: false });
  });
}

/**
 * Refuses sound that was cut off or is damaged in its middle. In most containers the structure shows a cut. In others, the
 * decoded sound does not reach the stated duration.
 */
function requireSound(log: FfmpegLog, bytes: Uint8Array, { demuxer, decodedSec }: { demuxer: string; decodedSec: number }): void {
  if (log.soundOutOfMemory) throw tooLarge(demuxer);
  const whole = isWhole(bytes, demuxer);
  if ((log.damages > 0 || whole === false) && log.gapSec > toleranceSec(decodedSec)) throw damaged(demuxer, log.gapSec);
  if (whole === true && !log.partial && log.damages <= FEW_DAMAGES) return;
  const statedSec = whole === null ? log.statedOfSoundSec : statesDuration(bytes, demuxer) ? log.statedSec : null;
  if (statedSec === null ? whole !== false : decodedSec >= statedSec - toleranceSec(statedSec)) return;
  const expected = statedSec === null ? 'the file ends in the middle of an element' : `its header states ${statedSec.toFixed(2)} s`;
  throw new PipelineError('AUDIO_TRUNCATED', `${decodedSec.toFixed(2)} s could be decoded, but ${expected}`, {
    context: { decodedSec, statedSec: statedSec ?? undefined },
  });
}

function damaged(demuxer: string, lostSec: number): PipelineError {
  return new PipelineError('AUDIO_UNDECODABLE', `the ${demuxer} file is damaged: ${lostSec.toFixed(2)} s in its middle cannot be decoded`, {
    context: { demuxer, lostSec },
  });
}

/** Damaged packets at the beginning and end of good files. They lose less time than the tolerance. */
const FEW_DAMAGES = 3;
const toleranceSec = (durationSec: number): number => Math.max(0.25, 0.02 * durationSec);

function missing(demuxer: string): PipelineError {
  return new PipelineError(
    'DECODER_MISSING',
    `a ${demuxer} file needs ffmpeg. Install it (for example: apt-get install ffmpeg), or set FFMPEG_BIN to its path.`,
    { context: { demuxer } },
  );
}

function timeout(timeoutMs: number, demuxer: string): PipelineError {
  return new PipelineError('AUDIO_DECODE_TIMEOUT', `ffmpeg took longer than ${timeoutMs} ms`, { context: { timeoutMs, demuxer } });
}

function tooLarge(demuxer: string, cause?: Error): PipelineError {
  return new PipelineError(
    'AUDIO_TOO_LARGE',
    `ffmpeg needs more than ${ffmpegMemoryBytes / 1e6} MB of memory for the ${demuxer} file, far more than a usual recording needs. Save the recording again, as WAV or FLAC.`,
    { cause, context: { demuxer } },
  );
}

function undecodable(demuxer: string, lastLine: string, cause: Error): PipelineError {
  const last = lastLine.replace(/^\S*undertone-audio-\S*: /, ''); // the temporary file's name
  return new PipelineError('AUDIO_UNDECODABLE', `ffmpeg cannot decode the ${demuxer} file${last ? `: ${last}` : ''}`, {
    cause,
    context: { demuxer },
  });
}
