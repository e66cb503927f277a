/**
 * Everything that is neither PCM WAV nor FLAC, through an ffmpeg process. The only file that knows fluent-ffmpeg, which is
 * archived upstream (2.1.3 is its last release): it builds the command line and reads the progress output, nothing more,
 * and a plain spawn could replace it here. Source: the paper, Section IV-B, has audio files of six corpora.
 *
 * The bytes go into a temporary file (m4a and some mp3 need seeking); ffmpeg writes a float WAV at the source's rate and
 * channels to a pipe, and `WavStream` reads that as it comes. The demuxer is forced and only the `file` protocol allowed, so that no
 * file can make ffmpeg open another. Past its time limit the process is killed, and its memory is limited (limit-memory.ts).
 *
 * Containers with timestamps may lack packets: a muted microphone, Opus that sends nothing in silence. Silence fills these gaps,
 * so that what comes behind them keeps its time. Sound that starts late is not moved: nothing is put in front.
 *
 * A file above 48 kHz is resampled to that by ffmpeg, so that ten minutes of it are no more than ten minutes of others.
 *
 * Does not promise the same samples from another ffmpeg (its version is in `decoder`), nor to notice that a format without
 * a stated length (a bare mp3, ogg) was cut.
 */
import { PassThrough } from 'node:stream';
import createCommand from 'fluent-ffmpeg';
import { PipelineError } from '#contracts/pipeline-error.js';
import { isWhole, statesDuration } from './container-structure.js';
import { type DecodedAudio, requireDuration } from './decoded-audio.js';
import { type FfmpegChoice, ffmpegDecoder, MOST_FFMPEG_RATE_HZ } from './ffmpeg-config.js';
import { FfmpegLog } from './ffmpeg-log.js';
import { ffmpegMemoryBytes, limitMemory } from './limit-memory.js';
import { withTemporaryFile } from './temporary-audio.js';
import { RateTooHigh, WavStream } from './wav-stream.js';

export interface FfmpegOptions {
  maxDurationSec: number;
  timeoutMs: number;
  /** null: none is installed. */
  ffmpeg: FfmpegChoice | null;
  /** More samples end in NeedsMemory. */
  allowedSamples?: number;
}

/** More than is taken: enough to see that a file is too long, without decoding all of it. */
const SPARE_SEC = 1;
/** Formats whose packets carry their times. */
const TIMED = ['ogg', 'mov', 'matroska', 'asf'];
/** A shorter gap is jitter of the clock that wrote the times. */
const LEAST_GAP_SEC = 0.1;

/**
 * A filter that finds gaps: it prints, for FfmpegLog, how much sound lies before each and how long it is. Sound that comes
 * earlier than expected is no gap and changes nothing: in chained ogg files every link begins at 0 again. Registers of its
 * expression: 0 the gap before this packet, 1 the time that is reached, 2 the seconds of sound so far. Silence is put in
 * afterwards (`WavStream`): ffmpeg's own `aresample=async` holds all of a gap in memory, and gives up when it gets none.
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

/** @property rateHz null: the source's */
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
      fail(error); // even if the process was not started yet
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
      if (reason) return;
      try {
        wav.push(piece);
      } catch (error) {
        stop(error as Error); // what the header says is refused, or more memory is needed
      }
    });
    // `end: false`: fluent-ffmpeg takes the closing of the stream for a failure if the process has not ended yet.
    command.pipe(output, { end: false });
  });
}

/**
 * Refuses sound that was cut off or is damaged in its middle. A cut shows in the structure of most containers, elsewhere in a
 * duration that is stated and not reached.
 */
function requireSound(log: FfmpegLog, bytes: Uint8Array, { demuxer, decodedSec }: { demuxer: string; decodedSec: number }): void {
  if (log.soundOutOfMemory) throw tooLarge(demuxer);
  const whole = isWhole(bytes, demuxer);
  if ((log.damages > 0 || whole === false) && log.gapSec > toleranceSec(decodedSec)) throw damaged(demuxer, log.gapSec);
  if (whole === true && !log.partial && log.damages <= FEW_DAMAGES) return;
  const statedSec = whole === null ? log.statedOfSoundSec : statesDuration(bytes, demuxer) ? log.statedSec : null;
  if (statedSec === null ? whole !== false : decodedSec >= statedSec - toleranceSec(statedSec)) return;
  const expected = statedSec === null ? 'the file breaks off in the middle of an element' : `its header states ${statedSec.toFixed(2)} s`;
  throw new PipelineError('AUDIO_TRUNCATED', `${decodedSec.toFixed(2)} s could be decoded, but ${expected}`, {
    context: { decodedSec, statedSec: statedSec ?? undefined },
  });
}

function damaged(demuxer: string, lostSec: number): PipelineError {
  return new PipelineError('AUDIO_UNDECODABLE', `the ${demuxer} file is damaged: ${lostSec.toFixed(2)} s in its middle cannot be decoded`, {
    context: { demuxer, lostSec },
  });
}

/** Packets at the beginning and end of good files, which less time than the tolerance is lost with. */
const FEW_DAMAGES = 3;
const toleranceSec = (durationSec: number): number => Math.max(0.25, 0.02 * durationSec);

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

function tooLarge(demuxer: string, cause?: Error): PipelineError {
  return new PipelineError(
    'AUDIO_TOO_LARGE',
    `ffmpeg needs more than ${ffmpegMemoryBytes / 1e6} MB of memory for the ${demuxer} file, which no usual recording does. Write it anew, as WAV or FLAC`,
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
