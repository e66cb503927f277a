/**
 * Exports metrics of the newest model (the challenger) and of the champions: their scores and their freshness. Freshness is the
 * ingest time of the newest utterance that the model's round could learn from. The metric exports this timestamp; compute the
 * age with `time() - x`. All values are read from the overview at intervals.
 *
 * Recall by class is not exported for speakers, because their number has no bound.
 */
import type { EmotionTarget } from '#contracts/labels.js';
import type { ModelPromoted } from '#contracts/promotions.js';
import type { Gauge, Metrics } from '#service/metrics.js';
import type { OverviewSnapshot } from '#overview/overview-snapshot.js';
import type { PipelineOverview } from '#overview/pipeline-overview.js';
import type { ModelScores } from '#overview/scores-by-model.js';
import type { Objects } from '#storage/object-store.js';
import { findCheckpoint } from '#rounds/checkpoint-store.js';

interface ScoreGauges {
  ua: Gauge<string>;
  wa: Gauge<string>;
  recall: Gauge<string>;
  byGender: Gauge<string>;
  /** Median and worst of single speakers. */
  ofSpeakers: Gauge<string>;
}

export class ModelMetrics {
  private readonly newest: ScoreGauges;
  private readonly champion: ScoreGauges;
  private readonly championNumber;
  private readonly liveUtterance;
  private readonly modelUtterance;
  private readonly championUtterance;
  /** The champion whose manifest was read last, by target. */
  private readonly known = new Map<EmotionTarget, number>();

  constructor(
    metrics: Metrics,
    private readonly overview: PipelineOverview,
    private readonly store: Pick<Objects, 'findJson'>,
  ) {
    const scored = ['task', 'split'];
    this.newest = {
      ua: metrics.gauge('ua_ratio', 'Unweighted accuracy of the newest model', scored),
      wa: metrics.gauge('wa_ratio', 'Weighted accuracy of the newest model', scored),
      recall: metrics.gauge('recall_ratio', 'Recall of the newest model, by class; not for speakers', [...scored, 'class']),
      byGender: metrics.gauge('gender_ua_ratio', 'Unweighted accuracy of the newest model, by gender', [...scored, 'gender']),
      ofSpeakers: metrics.gauge('speaker_ua_ratio', 'Median and worst unweighted accuracy of single speakers, newest model', [
        ...scored,
        'statistic',
      ]),
    };
    const ofChampion = ['target', ...scored];
    this.champion = {
      ua: metrics.gauge('champion_ua_ratio', 'Unweighted accuracy of the champion', ofChampion),
      wa: metrics.gauge('champion_wa_ratio', 'Weighted accuracy of the champion', ofChampion),
      recall: metrics.gauge('champion_recall_ratio', 'Recall of the champion, by class; not for speakers', [...ofChampion, 'class']),
      byGender: metrics.gauge('champion_gender_ua_ratio', 'Unweighted accuracy of the champion, by gender', [...ofChampion, 'gender']),
      ofSpeakers: metrics.gauge('champion_speaker_ua_ratio', 'Median and worst unweighted accuracy of single speakers, champion', [
        ...ofChampion,
        'statistic',
      ]),
    };
    this.championNumber = metrics.gauge('champion_number', 'Number of the champion, as in champions/<number>.json', ['target']);
    const whenIngested = (which: string): string => `Ingest time of the newest utterance ${which}, seconds since 1970`;
    this.liveUtterance = metrics.gauge('newest_utterance_timestamp_seconds', whenIngested('that is live and may be trained on'));
    this.modelUtterance = metrics.gauge('model_newest_utterance_timestamp_seconds', whenIngested('that the newest model could learn from'));
    this.championUtterance = metrics.gauge(
      'champion_newest_utterance_timestamp_seconds',
      whenIngested('that the champion could learn from'),
      ['target'],
    );
  }

  /** @throws PipelineError STORAGE_UNAVAILABLE, CHECKPOINT_INVALID if a champion's manifest cannot be read; the next update tries again */
  async update({ evaluations, checkpoint, promotions }: OverviewSnapshot): Promise<void> {
    show(this.newest, [{ labels: {}, scores: evaluations }]);
    const champions = promotions.flatMap(({ champion }) => champion ?? []);
    show(
      this.champion,
      champions.map(({ target }) => ({ labels: { target }, scores: this.overview.championScores(target) })),
    );
    for (const { target, number } of champions) this.championNumber.set({ target }, number);
    setTime(this.liveUtterance, {}, this.overview.newestTrainableAt);
    setTime(this.modelUtterance, {}, checkpoint?.newestUtteranceAt);
    for (const champion of champions) await this.updateFreshness(champion);
  }

  /** Reads the champion's manifest from the store, because the topic keeps only the newest checkpoint of a run. */
  private async updateFreshness({ target, number, challenger }: ModelPromoted): Promise<void> {
    if (this.known.get(target) === number) return;
    const checkpoint = await findCheckpoint(this.store, challenger.runId, challenger.step);
    setTime(this.championUtterance, { target }, checkpoint?.view.newestAt);
    this.known.set(target, number);
  }
}

/** Removes the values of a replaced champion. */
function show(
  { ua, wa, recall, byGender, ofSpeakers }: ScoreGauges,
  models: { labels: Record<string, string>; scores: readonly ModelScores[] }[],
): void {
  for (const gauge of [ua, wa, recall, byGender, ofSpeakers]) gauge.reset();
  for (const { labels, scores } of models) {
    for (const { task, split, ...score } of scores) {
      const where = { ...labels, task, split };
      ua.set(where, score.ua);
      if (score.wa !== null) wa.set(where, score.wa);
      for (const [gender, own] of Object.entries(score.byGender ?? {})) byGender.set({ ...where, gender }, own.ua);
      for (const statistic of ['median', 'worst'] as const)
        if (score.spread) ofSpeakers.set({ ...where, statistic }, score.spread[statistic]);
      if (task === 'speaker') continue;
      for (const [name, share] of Object.entries(score.recall)) if (share !== null) recall.set({ ...where, class: name }, share);
    }
  }
}

/** Removes an unknown time, so that it is not exported as 1970. */
function setTime(gauge: Gauge<string>, labels: Record<string, string>, at: string | null | undefined): void {
  if (at) gauge.set(labels, Date.parse(at) / 1000);
  else gauge.remove(labels);
}
