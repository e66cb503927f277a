/**
 * A pool of worker threads that turn files into tiles. A file that takes too long costs its worker thread only. Files are decoded
 * side by side as memory allows; ten-minute files are decoded one after another. A file that is longer than its size suggested
 * gives its memory back, waits for as much memory as the longest file takes, and is decoded again.
 */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { estimateMemory } from '#audio/decode/estimate-memory.js';
import type { ExtractedFeatures, ExtractOptions } from '#audio/extract-features.js';
import type { FeatureSettings } from '#audio/feature-settings.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { pastSpan } from '#service/spans.js';
import type { AudioMemory } from './audio-memory.js';
import type { ExtractOutcome, ExtractTask } from './extract-worker.js';
import { runningTimeLimit } from './running-time-limit.js';

export interface PoolLimits {
  workers: number;
  /** Time limit for one file, from when a worker takes it. */
  fileTimeoutMs: number;
  /** Lends the memory for files that are being decoded. */
  memory: Pick<AudioMemory, 'decode' | 'waitingCount'>;
}

export class ExtractorPool {
  private readonly pool: Piscina<ExtractTask, ExtractOutcome>;
  private readonly waiting: (() => void)[] = [];
  private readonly memory: PoolLimits['memory'];
  private readonly fileTimeoutMs: number;
  private idleWorkers: number;
  readonly size: number;

  constructor({ workers, fileTimeoutMs, memory }: PoolLimits) {
    this.memory = memory;
    this.fileTimeoutMs = fileTimeoutMs;
    this.idleWorkers = workers;
    this.size = workers;
    this.pool = new Piscina({
      filename: fileURLToPath(new URL('./extract-worker.js', import.meta.url)),
      minThreads: workers,
      maxThreads: workers,
    });
  }

  get busy(): number {
    return this.size - this.idleWorkers;
  }

  /** Number of files that wait for memory or for a worker. */
  get waitingFiles(): number {
    return this.memory.waitingCount + this.waiting.length;
  }

  /**
   * @param bytes move to the worker if they fill their whole buffer, so that memory does not hold a large file twice
   * @throws PipelineError AUDIO_*, DECODER_MISSING, DISK_FULL_WAITING
   */
  async extract(bytes: Uint8Array, settings: FeatureSettings, options: ExtractOptions): Promise<ExtractedFeatures> {
    const { bytes: usualBytes, allowedSamples } = estimateMemory(bytes, settings);
    const limited = { ...options, allowedSamples: allowedSamples ?? undefined };
    const sizeBytes = bytes.length; // the bytes move to the worker
    const first = await this.memory.decode(usualBytes, sizeBytes, () => this.extractNow({ bytes, settings, options: limited }));
    if ('features' in first) return first.features;
    const again = first.needsMemory;
    const { bytes: largestBytes } = estimateMemory(again, settings, 'largest');
    const second = await this.memory.decode(largestBytes, sizeBytes, () => this.extractNow({ bytes: again, settings, options }));
    if ('features' in second) return second.features;
    throw new Error('a file asks for more memory although its memory is unlimited'); // a bug of this program
  }

  private async extractNow(task: ExtractTask): Promise<Exclude<ExtractOutcome, { refusal: unknown }>> {
    await this.untilWorkerIsIdle();
    // The time starts with the worker, so that waiting for other files does not count.
    const timeLimit = runningTimeLimit(this.fileTimeoutMs);
    try {
      const { bytes } = task;
      const transferList = bytes.byteLength === bytes.buffer.byteLength ? [bytes.buffer as ArrayBuffer] : [];
      const outcome = await this.pool.run(task, { signal: timeLimit.signal, transferList });
      if ('features' in outcome) spansOf(outcome);
      if (!('refusal' in outcome)) return outcome;
      throw new PipelineError(outcome.refusal.code, outcome.refusal.message, { context: outcome.refusal.context });
    } catch (error) {
      if (!timeLimit.signal.aborted) throw error;
      throw new PipelineError(
        'AUDIO_DECODE_TIMEOUT',
        `The file was not decoded within ${this.fileTimeoutMs / 1000} s (FILE_TIMEOUT). Shorten it, or raise FILE_TIMEOUT`,
        { cause: error },
      );
    } finally {
      timeLimit.clear();
      this.idleWorkers++;
      this.waiting.shift()?.();
    }
  }

  private async untilWorkerIsIdle(): Promise<void> {
    while (this.idleWorkers === 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.idleWorkers--;
  }

  async close(): Promise<void> {
    await this.pool.destroy();
  }
}

/** Records spans by the worker's clock. The time before them is the wait for memory and for a worker. */
function spansOf({ features, times }: Extract<ExtractOutcome, { features: unknown }>): void {
  const { decoder, audioSec, count } = features;
  const decoded = { 'undertone.decoder': decoder, 'undertone.audio.duration': audioSec };
  pastSpan('decode', { startedAtMs: times.beganAtMs, endedAtMs: times.decodedAtMs, attributes: decoded });
  pastSpan('extract', { startedAtMs: times.decodedAtMs, endedAtMs: times.doneAtMs, attributes: { 'undertone.tiles': count } });
}
