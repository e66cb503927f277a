/** The predictor's metrics. */
import type { ErrorCode } from '#contracts/pipeline-error.js';
import type { Metrics } from '#service/metrics.js';
import { scoreStates, type ScoreBacklog } from './score-backlog.js';

export class PredictorMetrics {
  private readonly scored;
  private readonly tiles;
  private readonly durations;
  private readonly tombstones;
  private readonly requests;
  private readonly requestDurations;
  private readonly champion;
  private readonly step;

  constructor(metrics: Metrics, backlog: () => ScoreBacklog) {
    this.scored = metrics.counter('scored_utterances_total', 'Scores published: of new utterances, or again after a promotion', ['kind']);
    for (const kind of ['new', 'again']) this.scored.inc({ kind }, 0);
    this.tiles = metrics.counter('scored_tiles_total', 'Tiles in published scores');
    this.durations = metrics.histogram(
      'scoring_duration_seconds',
      'From reading the tiles of a batch to the acknowledgement of its scores',
      [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
    );
    this.tombstones = metrics.counter('tombstones_total', 'Scores of deleted utterances that were withdrawn');
    this.requests = metrics.counter('predictions_total', 'Predictions asked for over HTTP, by outcome', ['outcome']);
    this.requests.inc({ outcome: 'answered' }, 0);
    this.requestDurations = metrics.histogram(
      'prediction_duration_seconds',
      'From a whole request to its answer',
      [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30],
    );
    this.champion = metrics.gauge(
      'served_champion',
      'Number of the champion that answers; 0 if the newest model answers, -1 without a model',
    );
    this.champion.set(-1);
    this.step = metrics.gauge('served_model_step', 'Step of the model that answers');
    for (const state of scoreStates) {
      const name = `utterances_${state.replaceAll('-', '_')}`;
      metrics.gaugeOf(name, `Live utterances in the state "${state}" (docs/serving.md)`, () => backlog().counts[state]);
    }
  }

  serves({ step, champion }: { step: number; champion: number | null }): void {
    this.step.set(step);
    this.champion.set(champion ?? 0);
  }

  scoredBatch({ kind, utterances, tiles, seconds }: { kind: 'new' | 'again'; utterances: number; tiles: number; seconds: number }): void {
    this.scored.inc({ kind }, utterances);
    this.tiles.inc(tiles);
    this.durations.observe(seconds);
  }

  withdrew(count: number): void {
    this.tombstones.inc(count);
  }

  answered(outcome: ErrorCode | 'answered' | 'failed', seconds: number): void {
    this.requests.inc({ outcome });
    this.requestDurations.observe(seconds);
  }
}
