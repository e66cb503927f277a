/** Metrics and log lines of features: the tiles that it makes, and the load of its threads. */
import { leftOutReasons } from '#contracts/shards.js';
import { streams } from '#contracts/labels.js';
import type { Logger } from '#service/logger.js';
import type { Metrics } from '#service/metrics.js';
import type { ShardWorkshop } from './build-shards.js';
import type { ExtractorPool } from '#extraction/extractor-pool.js';

export function workshopMetrics(metrics: Metrics, logger: Logger): Pick<ShardWorkshop, 'onExtracted' | 'onSealed'> {
  const done = metrics.counter('utterances_total', 'Utterances turned into tiles');
  const audio = metrics.counter('audio_seconds_total', 'Audio turned into tiles');
  const cut = metrics.counter('silence_cut_seconds_total', 'Silence cut away');
  const leftOut = metrics.counter('tiles_left_out_total', 'Tiles not made, by reason', ['reason']);
  for (const reason of leftOutReasons) leftOut.inc({ reason }, 0);
  const tiles = metrics.counter('tiles_total', 'Tiles announced, by stream', ['stream']);
  const shards = metrics.counter('shards_total', 'Shards announced, by stream', ['stream']);
  for (const stream of streams) for (const counter of [tiles, shards]) counter.inc({ stream }, 0);
  const extracting = metrics.histogram(
    'extract_duration_seconds',
    'Time to turn one file into tiles',
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
  );
  const sealing = metrics.histogram(
    'seal_duration_seconds',
    'Time from closing a shard to its announcement',
    [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
  );
  return {
    onExtracted: (utterance, features, seconds) => {
      done.inc();
      audio.inc(features.audioSec);
      cut.inc(features.audioSec - features.keptSec);
      for (const reason of leftOutReasons) leftOut.inc({ reason }, features.leftOut[reason] ?? 0);
      extracting.observe(seconds);
      const { count, audioSec, keptSec, cut: silence, remark } = features;
      logger.info(
        { utteranceId: utterance.utteranceId, tiles: count, leftOut: features.leftOut, audioSec, keptSec, silence, remark },
        'made tiles',
      );
    },
    onSealed: ({ shardId, stream, tileCount, sizeBytes, seconds }) => {
      shards.inc({ stream });
      tiles.inc({ stream }, tileCount);
      sealing.observe(seconds);
      logger.info({ shardId, stream, tileCount, sizeBytes }, 'announced a shard');
    },
  };
}

export function poolMetrics(metrics: Metrics, pool: Pick<ExtractorPool, 'size' | 'busy' | 'waitingFiles'>): void {
  metrics.gaugeOf('pool_workers', 'Threads that make tiles', () => pool.size);
  metrics.gaugeOf('pool_busy_workers', 'Threads that are working on a file', () => pool.busy);
  metrics.gaugeOf('pool_waiting_files', 'Files that wait for memory or for a thread', () => pool.waitingFiles);
}
