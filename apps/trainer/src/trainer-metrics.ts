/** The trainer's metrics of its rounds. */
import type { ErrorCode } from '#contracts/pipeline-error.js';
import type { Metrics } from '#service/metrics.js';
import { storeMetrics } from '#storage/store-metrics.js';
import { noteRetry } from '#streaming/retry.js';
import type { ViewCounts } from '#index/training-index.js';
import type { RoundEvent } from './compute-client.js';

export class TrainerMetrics {
  private readonly tiles;
  private readonly news;
  private readonly steps;
  private readonly trainedTiles;
  private readonly stepDurations;
  private readonly trainingSeconds;
  private readonly waitSeconds;
  private readonly loss;
  private readonly rounds;
  private readonly roundDurations;
  private readonly refusals;
  private readonly devUa;
  private readonly erased;
  private readonly findings;
  /** Counted for this process and its compute process. */
  readonly storeCalled;
  private reportedStep = 0;

  /** @param refusable codes with which a round may be refused */
  constructor(metrics: Metrics, refusable: Iterable<ErrorCode>) {
    this.tiles = metrics.gauge('tiles', 'Tiles that may be trained on, by stream', ['stream']);
    this.news = metrics.gauge('news_utterances', 'Utterances that came, went or changed and are in no round yet');
    this.steps = metrics.counter('steps_total', 'Steps trained');
    this.trainedTiles = metrics.counter('trained_tiles_total', 'Tiles in the batches of all steps');
    this.stepDurations = metrics.histogram(
      'step_duration_seconds',
      'Time of a step, including the wait for tiles; each report counts its mean once for each of its steps',
      [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60],
    );
    this.trainingSeconds = metrics.counter('training_seconds_total', 'Time spent in steps, including the wait for tiles');
    this.waitSeconds = metrics.counter('data_wait_seconds_total', 'Part of the training time that was spent waiting for tiles');
    this.loss = metrics.gauge('loss', 'Loss of the last reported step, by phase or head', ['part']);
    this.rounds = metrics.counter('rounds_total', 'Rounds finished');
    this.roundDurations = metrics.histogram(
      'round_duration_seconds',
      'Time of a finished round, from its start or from where a process continued it',
      [1, 10, 60, 300, 900, 3_600, 4 * 3_600, 24 * 3_600],
    );
    this.refusals = metrics.counter('rounds_refused_total', 'Refused rounds, by code', ['code']);
    for (const code of refusable) this.refusals.inc({ code }, 0);
    this.devUa = metrics.gauge('dev_ua_ratio', 'UA of emotion on dev speakers at the last check of a round');
    this.erased = metrics.counter('erased_utterances_total', 'Utterances that were erased or replaced during a round that had them');
    this.findings = metrics.gauge('findings', 'Number of problems of the round; /status describes them');
    this.storeCalled = storeMetrics(metrics);
  }

  /** Sets the numbers of trainable tiles and of utterances that no round has had yet. */
  waiting(tiles: ViewCounts, news: number): void {
    this.tiles.set({ stream: 'labelled' }, tiles.labelled);
    this.tiles.set({ stream: 'unlabelled' }, tiles.unlabelled);
    this.news.set(news);
  }

  refused(code: ErrorCode): void {
    this.refusals.inc({ code });
  }

  found(findings: readonly string[]): void {
    this.findings.set(findings.length);
  }

  observe(event: RoundEvent): void {
    if (event.type === 'storeCalled') this.storeCalled(event);
    else if (event.type === 'retried') noteRetry();
    else if (event.type === 'roundStarted') this.reportedStep = event.step;
    else if (event.type === 'stepTrained') this.observeSteps(event);
    else if (event.type === 'checked') this.devUa.set(event.ua);
    else if (event.type === 'erased') this.erased.inc(event.utterances);
    else if (event.type === 'roundFinished') {
      this.rounds.inc();
      this.roundDurations.observe(event.wallSec);
    }
  }

  private observeSteps({ step, stepMs, waitMs, tiles, losses }: Extract<RoundEvent, { type: 'stepTrained' }>): void {
    const steps = step - this.reportedStep;
    this.reportedStep = step;
    this.steps.inc(steps);
    this.trainedTiles.inc(tiles);
    this.trainingSeconds.inc((stepMs * steps) / 1000);
    this.waitSeconds.inc((waitMs * steps) / 1000);
    for (let each = 0; each < steps; each++) this.stepDurations.observe(stepMs / 1000);
    for (const [part, loss] of Object.entries(losses)) if (loss !== null) this.loss.set({ part }, loss as number);
  }
}
