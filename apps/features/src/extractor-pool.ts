/** A pool of worker threads that turn files into tiles; a file that takes too long costs its worker, nothing else. */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { ExtractedFeatures, ExtractOptions } from '#audio/extract-features.js';
import type { FeatureSettings } from '#audio/feature-settings.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { ExtractOutcome, ExtractTask } from './extract-worker.js';

export class ExtractorPool {
  private readonly pool: Piscina<ExtractTask, ExtractOutcome>;
  private readonly waiting: (() => void)[] = [];

  constructor(
    private idleWorkers: number,
    private readonly fileTimeoutMs: number,
  ) {
    this.pool = new Piscina({
      filename: fileURLToPath(new URL('./extract-worker.js', import.meta.url)),
      minThreads: idleWorkers,
      maxThreads: idleWorkers,
    });
  }

  /**
   * @param bytes are the worker's from now on, where they are all of their buffer: a large file is not held twice
   * @throws PipelineError AUDIO_*, DECODER_MISSING
   */
  async extract(bytes: Uint8Array, settings: FeatureSettings, options: ExtractOptions): Promise<ExtractedFeatures> {
    await this.untilWorkerIsIdle();
    // The time begins when a worker does: a file must not pay for those before it.
    const timeLimit = AbortSignal.timeout(this.fileTimeoutMs);
    try {
      const transferList = bytes.byteLength === bytes.buffer.byteLength ? [bytes.buffer as ArrayBuffer] : [];
      const outcome = await this.pool.run({ bytes, settings, options }, { signal: timeLimit, transferList });
      if ('features' in outcome) return outcome.features;
      throw new PipelineError(outcome.refusal.code, outcome.refusal.message, { context: outcome.refusal.context });
    } catch (error) {
      if (!timeLimit.aborted) throw error;
      throw new PipelineError('AUDIO_DECODE_TIMEOUT', `Not decoded within ${this.fileTimeoutMs / 1000} s`, { cause: error });
    } finally {
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
