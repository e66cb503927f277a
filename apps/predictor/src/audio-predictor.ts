/** Predicts for posted files and for windows of live streams, with one pool of threads. */
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { PipelineError } from '#contracts/pipeline-error.js';
import { ExtractorPool, type PoolLimits } from '#extraction/extractor-pool.js';
import { MemoryBudget } from '#extraction/memory-budget.js';
import type { PredictorConfig } from './config.js';
import { predictAudio, servedModel } from './predict-audio.js';
import type { Prediction, PredictQuery } from './predictor-answers.js';
import { PREDICTOR_CONFIG, PredictorStage } from './predictor-stage.js';
import type { Asked } from './read-request.js';

/** Files that may wait for a thread, for each thread. */
const waitingPerWorker = 8;

@Injectable()
export class AudioPredictor implements OnApplicationShutdown {
  private readonly pool: ExtractorPool;
  /** Memory for objects that are named by their keys. Posted bodies have their own limit (admit-bodies.ts). */
  private readonly reading: MemoryBudget;

  constructor(
    @Inject(PredictorStage) private readonly stage: PredictorStage,
    @Inject(PREDICTOR_CONFIG) private readonly config: PredictorConfig,
  ) {
    const { workers, fileTimeoutMs, memoryBytes } = config;
    this.pool = new ExtractorPool({ workers, fileTimeoutMs, memory: decodingMemory(memoryBytes) });
    this.reading = new MemoryBudget(memoryBytes);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.pool.close();
  }

  /** @throws PipelineError PREDICTOR_BUSY */
  refuseIfBusy(): void {
    if (this.pool.waitingFiles < waitingPerWorker * this.pool.size) return;
    throw new PipelineError('PREDICTOR_BUSY', 'Too many files wait for a thread (PREDICT_WORKERS). Send this one again later.');
  }

  /** @throws PipelineError as `predictAudio` */
  predict(asked: Asked, query: PredictQuery = {}): Promise<Prediction> {
    const { keeper, silence, store } = this.stage;
    const work = () => predictAudio(asked, query, { store, keeper, silence, pool: this.pool, config: this.config });
    return 'key' in asked ? this.reading.use(this.config.maxFileBytes, work) : work();
  }

  /** The time that a tile of the served model covers. @throws PipelineError MODEL_MISSING, FEATURE_SETTINGS_MISMATCH */
  async windowSec(): Promise<number> {
    const { keeper } = this.stage;
    const { width, hopLength, sampleRateHz } = await keeper.featureSettings(servedModel(keeper));
    return (width * hopLength) / sampleRateHz;
  }
}

/** The predictor has no open shards that could lend memory, as those of features do. A file that needs more is decoded alone. */
function decodingMemory(totalBytes: number): PoolLimits['memory'] {
  const budget = new MemoryBudget(totalBytes);
  return {
    decode: (bytes, _fileBytes, work) => budget.use(bytes, work),
    get waitingCount() {
      return budget.waitingCount;
    },
  };
}
