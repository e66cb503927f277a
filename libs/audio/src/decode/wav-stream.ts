/**
 * Decodes a PCM or float WAV that arrives in pieces, as ffmpeg writes it to a pipe, to mono samples. It never holds the whole
 * file, which for six channels at 48 kHz would take ten times the memory of the samples.
 *
 * Does not notice a missing end: a length in such a header means nothing.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import { requireFormat } from './decoded-audio.js';
import { findChunks, readMono, type WavFormat } from './decode-wav.js';
import type { Gap } from './ffmpeg-log.js';
import { GrowingSamples } from '../growing-samples.js';

/** Every header ends before this. */
const HEADER_BYTES = 4096;
const EXPECTED_SEC = 60;

/** The header states a rate above `mostRateHz`. The caller asks for the sound again, resampled. */
export class RateTooHigh extends Error {}

export interface WavStreamOptions {
  /** Longest sound that is kept; the rest is dropped. */
  maxDurationSec: number;
  /** A higher rate throws `RateTooHigh`. Default: any supported rate. */
  mostRateHz?: number;
  /** More samples throw `NeedsMemory`. */
  allowedSamples?: number;
}

export class WavStream {
  private head: Uint8Array = new Uint8Array();
  private format: WavFormat | null = null;
  private mono = new GrowingSamples(0, 0);

  constructor(private readonly options: WavStreamOptions) {}

  /** Keeps no view of `piece`. @throws AUDIO_UNDECODABLE for an unsupported rate, RateTooHigh, NeedsMemory */
  push(piece: Uint8Array): void {
    if (this.format) return this.continueWith(piece, this.format);
    const bytes = Buffer.concat([this.head, piece]);
    if (bytes.length >= HEADER_BYTES) this.begin(bytes);
    else this.head = bytes;
  }

  /** @throws AUDIO_EMPTY, AUDIO_UNDECODABLE */
  finish(): { samples: Float32Array; sampleRateHz: number } {
    if (!this.format) this.begin(this.head);
    if (!this.format || this.mono.length === 0) throw new PipelineError('AUDIO_EMPTY', 'the decoder gave no samples');
    return { samples: this.mono.finish(), sampleRateHz: this.format.sampleRateHz };
  }

  /** Duration of the sound so far; 0 before the header has come. @throws AUDIO_UNDECODABLE */
  get durationSec(): number {
    if (!this.format) this.begin(this.head);
    return this.format ? this.mono.length / this.format.sampleRateHz : 0;
  }

  /** @param gaps in order of time. @throws NeedsMemory */
  insertSilence(gaps: readonly Gap[]): void {
    if (!this.format || gaps.length === 0) return;
    const { sampleRateHz } = this.format;
    const counts = gaps.map(({ durationSec }) => Math.round(durationSec * sampleRateHz));
    let inserted = counts.reduce((sum, count) => sum + count, 0);
    this.mono.reserve(inserted);
    // Goes from the last gap to the first, so that each part of the sound moves once and overwrites nothing that is still needed.
    let end = this.mono.length;
    this.mono.length += inserted;
    const { samples } = this.mono;
    for (let i = gaps.length - 1; i >= 0; i--) {
      const [gap, count] = [gaps[i] as Gap, counts[i] as number];
      const at = Math.min(end, Math.round(gap.atSec * sampleRateHz));
      samples.copyWithin(at + inserted, at, end);
      inserted -= count;
      samples.fill(0, at + inserted, at + inserted + count);
      end = at;
    }
  }

  private begin(bytes: Uint8Array): void {
    const { format, data } = findChunks(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    if (!format || !data) return;
    const { sampleRateHz } = format;
    requireFormat(format);
    const { maxDurationSec, mostRateHz = sampleRateHz, allowedSamples } = this.options;
    if (sampleRateHz > mostRateHz) throw new RateTooHigh();
    this.mono = new GrowingSamples(EXPECTED_SEC * sampleRateHz, Math.ceil(maxDurationSec * sampleRateHz), allowedSamples);
    this.format = format;
    this.take(bytes.subarray(data.offset), format);
  }

  private continueWith(piece: Uint8Array, format: WavFormat): void {
    const missing = this.head.length === 0 ? 0 : format.blockAlign - this.head.length;
    if (missing > 0) this.take(Buffer.concat([this.head, piece.subarray(0, missing)]), format);
    if (piece.length > missing) this.take(piece.subarray(missing), format);
  }

  /** Leaves an incomplete frame in `head`. */
  private take(bytes: Uint8Array, format: WavFormat): void {
    const count = Math.floor(bytes.length / format.blockAlign);
    this.mono.reserve(count);
    readMono(bytes, { ...format, dataOffset: 0, sampleCount: count }, this.mono.samples.subarray(this.mono.length));
    this.mono.length += count;
    this.head = bytes.slice(count * format.blockAlign);
  }
}
