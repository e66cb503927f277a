import { dashboard, lines, stat } from './panels.js';
import { modelAge } from './models.js';

export const pipeline = dashboard(
  {
    uid: 'undertone-pipeline',
    title: 'Undertone: Pipeline',
    description: 'Does everything that is put into the bucket come through, and how fast?',
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
      title: 'How many are on their way?',
      description:
        'Live utterances that are neither in a shard nor dead-lettered. It falls to 0 when nothing new comes; if it stays, `undertone verify` names some of them.',
      unit: 'short',
      queries: [['max(undertone_evaluator_in_flight_utterances{job=~"$job"})', 'in flight']],
    }),
    stat({
      title: 'How many were put aside in a day?',
      description: 'Dead letters of the last 24 hours, repeats too. Reliability has them by code; `undertone status` names them.',
      unit: 'short',
      queries: [['sum(increase({__name__=~"undertone_(ingest|features|evaluator)_dead_letters_total",job=~"$job"}[24h]))', 'dead letters']],
      thresholds: { yellow: 1, red: 100 },
    }),
    lines({
      title: 'How many recordings a second pass each stage?',
      description: 'Ingested: a new or changed record. Made into tiles: repeats too, so that it is higher after a restart.',
      unit: 'suffix: /s',
      queries: [
        ['sum(rate(undertone_ingest_decisions_total{outcome="ingested",job=~"$job"}[$__rate_interval]))', 'ingested'],
        ['sum(rate(undertone_features_utterances_total{job=~"$job"}[$__rate_interval]))', 'made into tiles'],
      ],
    }),
    lines({
      title: 'How many tiles a second are made, and learnt?',
      description: 'Made: announced in shards, by stream. Learnt: in the batches of training steps, where a tile comes up again and again.',
      unit: 'suffix: /s',
      queries: [
        ['sum by (stream) (rate(undertone_features_tiles_total{job=~"$job"}[$__rate_interval]))', 'made, {{stream}}'],
        ['sum(rate(undertone_trainer_trained_tiles_total{job=~"$job"}[$__rate_interval]))', 'learnt'],
      ],
    }),
    lines({
      title: 'How much audio does a second bring?',
      description: 'Seconds of audio decoded in a second, and how much of it was silence and cut.',
      unit: 'suffix: × real time',
      queries: [
        ['sum(rate(undertone_features_audio_seconds_total{job=~"$job"}[$__rate_interval]))', 'decoded'],
        ['sum(rate(undertone_features_silence_cut_seconds_total{job=~"$job"}[$__rate_interval]))', 'cut as silence'],
      ],
    }),
    lines({
      title: 'What waits in Kafka?',
      description:
        'Records that a stage has not taken yet, over all of its instances. Rising for long: more instances of ingest or features.',
      unit: 'short',
      queries: (['ingest', 'features', 'trainer', 'evaluator'] as const).map((stage) => [
        `sum by (topic) (undertone_${stage}_consumer_lag_records{job=~"$job"})`,
        `${stage}: {{topic}}`,
      ]),
    }),
    lines({
      title: 'How long does one recording take?',
      description:
        'Of 100 recordings, 95 take no longer. Decision: look at the object and publish. Tiles: decode and compute, waiting for a thread included. Shard: store and announce it.',
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
        'Where files wait and all threads are busy, FEATURE_WORKERS or another instance helps. Where threads are idle and files wait, it is memory: AUDIO_MEMORY_MB.',
      unit: 'short',
      queries: [
        ['sum(undertone_features_pool_workers{job=~"$job"})', 'threads'],
        ['sum(undertone_features_pool_busy_workers{job=~"$job"})', 'busy'],
        ['sum(undertone_features_pool_waiting_files{job=~"$job"})', 'files waiting'],
      ],
    }),
    lines({
      title: 'What does ingest decide?',
      description: 'Objects that it looked at, by what became of them. Mostly `unchanged` is the listing that finds nothing new.',
      unit: 'suffix: /s',
      span: 24,
      queries: [['sum by (outcome) (rate(undertone_ingest_decisions_total{job=~"$job"}[$__rate_interval]))', '{{outcome}}']],
    }),
  ],
);
