/** The Kafka edge of features: takes utterance records and announces shards. Delivery: see build-shards.ts and consumers-by-settings.ts. */
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { FeatureSettings } from '#audio/feature-settings.js';
import { canLimitMemory } from '#audio/decode/limit-memory.js';
import type { SettingsAnswer } from '#audio/settings-by-corpus.js';
import { speechDetector } from '#audio/silence/silence-methods.js';
import { sweepTemporaryAudio } from '#audio/decode/temporary-audio.js';
import { featureSettingsChosen } from '#contracts/feature-settings.js';
import { utterances } from '#contracts/utterances.js';
import { crashProcess } from '#service/crash-process.js';
import { Liveness } from '#service/liveness.js';
import type { Logger } from '#service/logger.js';
import { Metrics } from '#service/metrics.js';
import { LOGGER } from '#service/observability.module.js';
import { Readiness } from '#service/readiness.js';
import { StageRuntime } from '#stage/stage-runtime.js';
import { PartitionConsumer } from '#streaming/partition-consumer.js';
import { featuresGroup } from '#streaming/consumer-groups.js';
import { ShardPartitionWorker, type ShardWorkshop } from './build-shards.js';
import type { FeaturesConfig } from './config.js';
import { ConsumersBySettings, type SettingsConsumer } from './consumers-by-settings.js';
import { AudioMemory } from '#extraction/audio-memory.js';
import { ExtractorPool } from '#extraction/extractor-pool.js';
import { SettingsObjects } from './settings-objects.js';
import { poolMetrics, workshopMetrics } from './workshop-metrics.js';

/** ffmpeg is stopped before its thread, so that the thread can delete the temporary file. */
const FFMPEG_TIME_SHARE = 0.9;
/** A temporary file older than this multiple of the file time limit is abandoned. */
const SWEEP_AFTER_TIMEOUTS = 20;

export const FEATURES_CONFIG = Symbol('features config');

@Injectable()
export class FeaturesStage implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly runtime: StageRuntime<'features'>;
  private readonly memory: AudioMemory;
  private readonly pool: ExtractorPool;
  private readonly consumers: ConsumersBySettings;

  constructor(
    @Inject(FEATURES_CONFIG) private readonly config: FeaturesConfig,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(Metrics) private readonly metrics: Metrics,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Liveness) liveness: Liveness,
  ) {
    this.runtime = new StageRuntime('features', { config, services: { logger, metrics, readiness, liveness } });
    this.memory = new AudioMemory(config.audioMemoryBytes);
    this.pool = new ExtractorPool({
      workers: config.workers,
      fileTimeoutMs: config.fileTimeoutMs,
      memory: this.memory,
    });
    poolMetrics(metrics, this.pool);
    this.consumers = new ConsumersBySettings({
      objects: this.settingsObjects(),
      base: config.settings,
      intervalMs: config.settingsIntervalMs,
      create: this.consumerFactory(),
      announce: (map) => this.runtime.publisher.publish(featureSettingsChosen, map.fact()),
      watch: this.runtime.watch([], config.fileTimeoutMs * utterances.storage.partitions),
      crash: crashProcess,
      logger,
    });
  }

  onApplicationBootstrap(): void {
    this.readiness.startInBackground(() => this.start());
  }

  async onApplicationShutdown(): Promise<void> {
    await this.runtime.stop(async () => {
      await this.consumers.stop();
      await this.pool.close();
    });
  }

  private async start(): Promise<void> {
    const { ffmpeg } = this.config;
    if (ffmpeg)
      this.logger.info(
        { ffmpeg: ffmpeg.path, why: ffmpeg.why, version: ffmpeg.version },
        'ffmpeg decodes files that are neither WAV nor FLAC',
      );
    if (ffmpeg && !canLimitMemory())
      this.logger.warn('this machine has no prlimit, so the memory of ffmpeg processes is not limited. Install util-linux');
    if (!ffmpeg) this.logger.warn('there is no ffmpeg, so only WAV and FLAC are decoded. Install ffmpeg, or set FFMPEG_BIN');
    const swept = await sweepTemporaryAudio(this.config.fileTimeoutMs * SWEEP_AFTER_TIMEOUTS);
    if (swept > 0) this.logger.info({ folders: swept }, 'removed temporary recordings of killed processes');
    await speechDetector(this.config.settings, this.config.sileroDir); // fails at the start if a prerequisite is missing
    await this.runtime.connect();
    await this.consumers.start();
  }

  /** @returns the settings of each corpus; null until the consumers run */
  settings(): SettingsAnswer | null {
    const map = this.consumers.applied;
    if (!map) return null;
    return { readEverySec: this.config.settingsIntervalMs / 1000, default: map.base, corpora: Object.fromEntries(map.corpora) };
  }

  private settingsObjects(): SettingsObjects {
    return new SettingsObjects({
      store: this.runtime.store,
      base: this.config.settings,
      check: async (settings) => {
        await speechDetector(settings, this.config.sileroDir);
      },
      onInvalid: (error) => this.logger.error({ code: error.code }, error.message),
    });
  }

  /** Makes the parts of a worker. Memory, threads and counts are shared by all workers. */
  private consumerFactory(): (hash: string, settings: FeatureSettings) => SettingsConsumer {
    const { metrics, logger, runtime } = this;
    const shared = { ...workshopMetrics(metrics, logger), ...this.workshop() };
    const consumerParts = runtime.consumerParts();
    return (hash, settings) => {
      return new PartitionConsumer({
        ...consumerParts,
        topic: utterances,
        groupId: featuresGroup(runtime.topicPrefix, hash),
        subjectOf: ({ fact, key }) => ({
          utteranceId: fact?.utteranceId ?? key ?? undefined,
          version: fact?.version,
          objectKey: fact?.objectKey,
          settingsHash: hash,
        }),
        createWorker: (context) => {
          const passedOver = this.consumers.passOver(hash, context.settle);
          return new ShardPartitionWorker({ ...shared, settings, giveBack: (each) => this.consumers.giveBack(each) }, context, passedOver);
        },
      });
    };
  }

  private workshop(): Omit<ShardWorkshop, 'settings' | 'giveBack' | 'onExtracted' | 'onSealed'> {
    const { config, pool } = this;
    const { store, publisher } = this.runtime;
    return {
      store,
      publisher,
      pool,
      memory: this.memory,
      sealing: { ...config.sealing, bytes: this.memory.largestShardBytes },
      maxObjectBytes: config.maxObjectBytes,
      extractOptions: {
        silence: 'none',
        timeoutMs: config.fileTimeoutMs * FFMPEG_TIME_SHARE,
        ffmpeg: config.ffmpeg,
        sileroDir: config.sileroDir,
      },
    };
  }
}
