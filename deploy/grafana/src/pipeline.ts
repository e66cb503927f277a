import { dashboard, lines, stat } from './panels.js';
import { modelAge } from './models.js';

export const pipeline = dashboard(
  {
    uid: 'undertone-pipeline',
    title: 'Undertone: Pipeline',
    description: 'Do all recordings in the bucket pass through the pipeline, and how fast?',
  },
  [
    stat({ ...modelAge, title: 'How fresh is the newest model?' }),
    stat({
      title: 'How many recordings are alive?',
      description: 'Utterances in the bucket with a current record, as the evaluator counts them.',
      unit: 'short',
      queries: [['max(undertone_evaluator_live_utterances{job=~"$job"})', 'alive']],
    }),
    stat({
      title: 'How many recordings are in flight?',
      description:
        'Live utterances that are neither in a shard nor dead-lettered. It falls to 0 when nothing new comes; if it stays, `undertone verify` names some of them.',
      unit: 'short',
      queries: [['max(undertone_evaluator_in_flight_utterances{job=~"$job"})', 'in flight']],
    }),
    stat({
      title: 'How many dead letters were written in a day?',
      description:
        'Dead letters of the last 24 hours, with repeats. The Reliability dashboard shows them by code, and `undertone status` names them.',
      unit: 'short',
      queries: [
        [
          'sum(increase({__name__=~"undertone_(ingest|features|evaluator|predictor)_dead_letters_total",job=~"$job"}[24h]))',
          'dead letters',
        ],
      ],
      thresholds: { yellow: 1, red: 100 },
    }),
    lines({
      title: 'How many recordings a second pass each stage?',
      description: 'Ingested: new or changed records. Made into tiles: with repeats, so it is higher after a restart.',
      unit: 'suffix: /s',
      queries: [
        ['sum(rate(undertone_ingest_decisions_total{outcome="ingested",job=~"$job"}[$__rate_interval]))', 'ingested'],
        ['sum(rate(undertone_features_utterances_total{job=~"$job"}[$__rate_interval]))', 'made into tiles'],
      ],
    }),
    lines({
      title: 'How many tiles per second are made and learnt?',
      description:
        'Made: tiles announced in shards, by stream. Learnt: tiles in the batches of training steps, where a tile appears many times.',
      unit: 'suffix: /s',
      queries: [
        ['sum by (stream) (rate(undertone_features_tiles_total{job=~"$job"}[$__rate_interval]))', 'made, {{stream}}'],
        ['sum(rate(undertone_trainer_trained_tiles_total{job=~"$job"}[$__rate_interval]))', 'learnt'],
        ['sum by (reason) (rate(undertone_features_tiles_left_out_total{job=~"$job"}[$__rate_interval]))', 'left out: {{reason}}'],
      ],
    }),
    lines({
      title: 'How much audio is decoded per second?',
      description: 'Seconds of audio decoded per second, and the part of it that was cut as silence.',
      unit: 'suffix: × real time',
      queries: [
        ['sum(rate(undertone_features_audio_seconds_total{job=~"$job"}[$__rate_interval]))', 'decoded'],
        ['sum(rate(undertone_features_silence_cut_seconds_total{job=~"$job"}[$__rate_interval]))', 'cut as silence'],
      ],
    }),
    lines({
      title: 'How many records wait in Kafka?',
      description:
        'Records that a stage has not taken yet, over all of its instances. If it rises for long, start more instances of ingest or features.',
      unit: 'short',
      queries: (['ingest', 'features', 'trainer', 'evaluator', 'predictor'] as const).map((stage) => [
        `sum by (topic) (undertone_${stage}_consumer_lag_records{job=~"$job"})`,
        `${stage}: {{topic}}`,
      ]),
    }),
    lines({
      title: 'How long does one recording take?',
      description:
        '95 of 100 recordings take no longer. Decision: ingest reads the object and publishes. Tiles: features decodes and computes, with the wait for a thread. Shard: features stores and announces it.',
      unit: 's',
      queries: [
        [
          'histogram_quantile(0.95, sum by (le) (rate(undertone_ingest_decision_duration_seconds_bucket{job=~"$job"}[$__rate_interval])))',
          'decision',
        ],
        [
          'histogram_quantile(0.95, sum by (le) (rate(undertone_features_extract_duration_seconds_bucket{job=~"$job"}[$__rate_interval])))',
          'tiles',
        ],
        [
          'histogram_quantile(0.95, sum by (le) (rate(undertone_features_seal_duration_seconds_bucket{job=~"$job"}[$__rate_interval])))',
          'shard',
        ],
      ],
    }),
    lines({
      title: 'Are there threads enough to make tiles?',
      description:
        'If files wait and all threads are busy, raise FEATURE_WORKERS or start another instance. If files wait and threads are idle, memory is short: raise AUDIO_MEMORY_MB.',
      unit: 'short',
      queries: [
        ['sum(undertone_features_pool_workers{job=~"$job"})', 'threads'],
        ['sum(undertone_features_pool_busy_workers{job=~"$job"})', 'busy'],
        ['sum(undertone_features_pool_waiting_files{job=~"$job"})', 'files waiting'],
      ],
    }),
    lines({
      title: 'Which recordings have a score?',
      description:
        'Live utterances by state (docs/serving.md): `due` waits for its first score, `outdated` for that of a new champion, `other settings` has tiles that the model cannot read.',
      unit: 'short',
      queries: (['scored', 'due', 'outdated', 'other_settings', 'failed'] as const).map((state) => [
        `max(undertone_predictor_utterances_${state}{job=~"$job"})`,
        state.replace('_', ' '),
      ]),
    }),
    lines({
      title: 'How many recordings are scored per second?',
      description: 'Scores published: of new recordings, and again after a promotion. Predictions: answers over HTTP, by outcome.',
      unit: 'suffix: /s',
      queries: [
        ['sum by (kind) (rate(undertone_predictor_scored_utterances_total{job=~"$job"}[$__rate_interval]))', 'scored: {{kind}}'],
        ['sum by (outcome) (rate(undertone_predictor_predictions_total{job=~"$job"}[$__rate_interval]))', 'predictions: {{outcome}}'],
      ],
    }),
    lines({
      title: 'What does ingest decide?',
      description: 'Objects that ingest examined, by outcome. Mostly `unchanged` means that the listing finds nothing new.',
      unit: 'suffix: /s',
      span: 24,
      queries: [['sum by (outcome) (rate(undertone_ingest_decisions_total{job=~"$job"}[$__rate_interval]))', '{{outcome}}']],
    }),
  ],
);
