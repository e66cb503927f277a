/**
 * One live stream of PCM: it cuts a window out of each channel every second, and the whole of each channel at the end. A window is
 * scored like a posted file, so the whole stream gives the same numbers as the same samples in a WAV file.
 *
 * Delivery: windows are answered in order, and none is dropped. If the model is slower than the stream, `isBehind` asks the sender to
 * wait. Each window asks for the model anew, so another champion takes over at a window's edge.
 *
 * It holds all samples until the end, because the whole is measured against its loudest moment.
 */
import { encodeWav } from '#audio/decode/encode-wav.js';
import { PipelineError } from '#contracts/pipeline-error.js';

export interface LiveFormat {
  sampleRateHz: number;
  channels: number;
}

/** The place of a window, or of the whole. */
export interface LivePlace {
  type: 'window' | 'whole';
  channel: number;
  /** Seconds from the start of the stream. */
  startSec: number;
  endSec: number;
}

export interface LiveSessionOptions {
  format: LiveFormat;
  windowSec: number;
  everySec: number;
  /** Longest stream. */
  maxSec: number;
  /** Scores a WAV file of one channel. */
  score: (wav: Uint8Array) => Promise<object>;
  /** Called for each answer, in order. */
  answer: (answer: LivePlace & { score: object }) => void;
  /** Called if a window cannot be scored; the stream goes on. */
  problem: (place: LivePlace, error: unknown) => void;
}

const bytesPerSample = 2;
/** Windows that may wait before the sender is asked to wait. */
const waitingAtMost = 3;

export class LiveSession {
  private readonly channels: GrowingPcm[];
  /** Bytes of a sample that came in two messages. */
  private rest: Buffer = Buffer.alloc(0);
  private nextWindow = 0;
  private work: Promise<void> = Promise.resolve();
  private isWorking = false;
  private isClosed = false;

  constructor(private readonly options: LiveSessionOptions) {
    this.channels = Array.from({ length: options.format.channels }, () => new GrowingPcm());
  }

  /** Samples of each channel so far. After a cut the sender goes on from here. */
  get received(): number {
    return this.channels[0]?.length ?? 0;
  }

  /** Bytes that the session holds. */
  get sizeBytes(): number {
    return this.channels.reduce((sum, channel) => sum + channel.sizeBytes, 0);
  }

  /** True if the sender should wait. */
  get isBehind(): boolean {
    return this.dueWindows - this.nextWindow > waitingAtMost;
  }

  /** @param bytes 16-bit little-endian samples, the channels in turn @throws PipelineError AUDIO_TOO_LONG beyond the limit */
  take(bytes: Buffer): void {
    const { format, maxSec } = this.options;
    const frame = bytesPerSample * format.channels;
    const all = this.rest.length > 0 ? Buffer.concat([this.rest, bytes]) : bytes;
    const frames = Math.floor(all.length / frame);
    if (this.received + frames > maxSec * format.sampleRateHz) {
      throw new PipelineError('AUDIO_TOO_LONG', `A live stream may last ${maxSec} s (LIVE_MAX_SEC). Begin another one.`);
    }
    for (const [at, channel] of this.channels.entries()) channel.append(all, { first: at * bytesPerSample, step: frame, count: frames });
    this.rest = Buffer.from(all.subarray(frames * frame));
    this.answerDueWindows();
  }

  /** Answers the windows that wait, then the whole of each channel. */
  async end(): Promise<void> {
    await this.drained();
    for (const channel of this.channels.keys()) {
      const endSec = this.received / this.options.format.sampleRateHz;
      await this.answerOne({ type: 'whole', channel, startSec: 0, endSec }, [0, this.received]);
    }
  }

  /** Resolves when no window waits. */
  async drained(): Promise<void> {
    await this.work;
  }

  close(): void {
    this.isClosed = true;
  }

  private get dueWindows(): number {
    const { windowSec, everySec, format } = this.options;
    const afterFirst = this.received / format.sampleRateHz - windowSec;
    return afterFirst < 0 ? 0 : Math.floor(afterFirst / everySec) + 1;
  }

  private answerDueWindows(): void {
    if (this.isWorking) return;
    this.isWorking = true;
    this.work = this.workOff();
  }

  private async workOff(): Promise<void> {
    const { everySec, windowSec, format } = this.options;
    while (!this.isClosed && this.nextWindow < this.dueWindows) {
      const startSec = this.nextWindow * everySec;
      const range: [number, number] = [
        Math.round(startSec * format.sampleRateHz),
        Math.round((startSec + windowSec) * format.sampleRateHz),
      ];
      for (const channel of this.channels.keys())
        await this.answerOne({ type: 'window', channel, startSec, endSec: startSec + windowSec }, range);
      this.nextWindow++;
    }
    // In the same turn in which it finds no window, so that the next samples start it again.
    this.isWorking = false;
  }

  private async answerOne(place: LivePlace, [from, to]: [number, number]): Promise<void> {
    if (this.isClosed) return;
    const { format, score, answer, problem } = this.options;
    const samples = (this.channels[place.channel] as GrowingPcm).floats(from, to);
    try {
      const found = await score(encodeWav([samples], { sampleRateHz: format.sampleRateHz }));
      if (!this.isClosed) answer({ ...place, score: found });
    } catch (error) {
      if (!this.isClosed) problem(place, error);
    }
  }
}

/** 16-bit samples that become more. */
class GrowingPcm {
  private samples = new Int16Array(16_384);
  length = 0;

  get sizeBytes(): number {
    return this.samples.byteLength;
  }

  append(bytes: Buffer, { first, step, count }: { first: number; step: number; count: number }): void {
    if (this.length + count > this.samples.length) {
      const grown = new Int16Array(Math.max(this.length + count, 2 * this.samples.length));
      grown.set(this.samples.subarray(0, this.length));
      this.samples = grown;
    }
    for (let frame = 0; frame < count; frame++) this.samples[this.length++] = bytes.readInt16LE(first + frame * step);
  }

  /** The samples as `encodeWav` takes them; it gives the same integers back. */
  floats(from: number, to: number): Float32Array {
    return Float32Array.from(this.samples.subarray(from, Math.min(to, this.length)), (sample) => sample / 32_768);
  }
}
