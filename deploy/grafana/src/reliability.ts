import { dashboard, lines, stat } from './panels.js';

export const reliability = dashboard(
  { uid: 'undertone-reliability', title: 'Undertone: Reliability', description: 'What fails, what is tried again, and what will soon?' },
  [
    stat({
      title: 'How many services do not answer?',
      description: 'Targets of the job that Prometheus could not scrape just now.',
      unit: 'short',
      queries: [['count(up{job=~"$job"}) - sum(up{job=~"$job"})', 'down']],
      thresholds: { yellow: 1, red: 2 },
    }),
    stat({
      title: 'How many alerts fire?',
      description: 'Of deploy/prometheus/alerts.yaml; docs/monitoring.md says what to do about each.',
      unit: 'short',
      queries: [['count(ALERTS{alertname=~"Undertone.+",alertstate="firing"}) or vector(0)', 'firing']],
      thresholds: { yellow: 1, red: 3 },
    }),
    stat({
      title: 'How often does the store not answer?',
      description: 'Share of calls in the last five minutes that found no answer, or one that says to come again. They are tried again.',
      unit: 'percentunit',
      queries: [
        [
          'sum(rate({__name__=~"undertone_.+_s3_call_duration_seconds_count",outcome="unavailable",job=~"$job"}[5m]) or vector(0)) / sum(rate({__name__=~"undertone_.+_s3_call_duration_seconds_count",job=~"$job"}[5m]))',
          'unavailable',
        ],
      ],
      thresholds: { yellow: 0.01, red: 0.05 },
    }),
    stat({
      title: 'Are there shards that cannot be read?',
      description: 'Of the last compaction. The trainer has them made again when a round needs them.',
      unit: 'short',
      queries: [['max(undertone_trainer_compaction_unreadable_shards{job=~"$job"})', 'unreadable']],
      thresholds: { yellow: 1 },
    }),
    lines({
      title: 'What is put aside, and why?',
      description:
        'Dead letters in an hour, by code. docs/operations.md, "Error codes", says what to do about each; `undertone status` names the recordings.',
      unit: 'short',
      noValue: 'nothing',
      queries: [
        [
          'sum by (code) (increase({__name__=~"undertone_(ingest|features|evaluator)_dead_letters_total",job=~"$job"}[1h])) > 0',
          '{{code}}',
        ],
      ],
    }),
    lines({
      title: 'What is tried again?',
      description: 'Tries a second after an error that may pass. Steady: the store or the broker is ill, and the logs say which.',
      unit: 'suffix: /s',
      queries: (['ingest', 'features', 'trainer', 'evaluator'] as const).map((stage) => [
        `sum(rate(undertone_${stage}_retries_total{job=~"$job"}[$__rate_interval]))`,
        stage,
      ]),
    }),
    lines({
      title: 'What is asked of the object store?',
      description:
        'Calls a second of all services, by how they ended. `absent` is an answer: no such object, or a condition of a put that did not hold.',
      unit: 'suffix: /s',
      queries: [
        ['sum by (outcome) (rate({__name__=~"undertone_.+_s3_call_duration_seconds_count",job=~"$job"}[$__rate_interval]))', '{{outcome}}'],
      ],
    }),
    lines({
      title: 'How fast does the object store answer?',
      description: "Of 100 calls, 95 are no slower; the whole body and the client's own tries included.",
      unit: 's',
      queries: [
        [
          'histogram_quantile(0.95, sum by (le, operation) (rate({__name__=~"undertone_.+_s3_call_duration_seconds_bucket",job=~"$job"}[$__rate_interval])))',
          '{{operation}}',
        ],
      ],
    }),
    lines({
      title: 'Which consumers stand still?',
      description:
        'Time since a record was taken, of topics where records wait. Beyond a minute the service says so itself on /health/live, and is replaced.',
      unit: 's',
      noValue: 'none',
      queries: (['ingest', 'features', 'trainer', 'evaluator'] as const).map((stage) => [
        `max by (topic) (undertone_${stage}_consumer_idle_seconds{job=~"$job"} * on (instance, topic) (undertone_${stage}_consumer_lag_records > bool 0))`,
        `${stage}: {{topic}}`,
      ]),
    }),
    lines({
      title: 'Which services have started again?',
      description: 'Restarts in an hour that the evaluator has seen. `undertone status` says how each ended and which input is to blame.',
      unit: 'short',
      queries: [['sum by (stage) (increase(undertone_evaluator_stage_restarts_total{job=~"$job"}[1h]))', '{{stage}}']],
    }),
    lines({
      title: 'How many corpora are refused?',
      description: 'Ingest cannot use their annotations, and their recordings wait. `undertone status` names them, with the reason.',
      unit: 'short',
      thresholds: { yellow: 1 },
      queries: [['max(undertone_evaluator_refused_corpora{job=~"$job"})', 'refused']],
    }),
    lines({
      title: 'Since when do the services run?',
      description: 'A fall to 0 is a start. Several in an hour: the log says with which error it ended.',
      unit: 's',
      queries: [['time() - process_start_time_seconds{job=~"$job"}', '{{instance}}']],
    }),
    lines({
      title: 'How much memory do they take?',
      description: 'Resident, without the process that computes for the trainer.',
      unit: 'bytes',
      queries: [['process_resident_memory_bytes{job=~"$job"}', '{{instance}}']],
    }),
    lines({
      title: 'Are their threads blocked?',
      description: 'How late the event loop is, 99 of 100 times no later. Beyond 6 s a consumer loses its partitions.',
      unit: 's',
      thresholds: { yellow: 1, red: 6 },
      queries: [['nodejs_eventloop_lag_p99_seconds{job=~"$job"}', '{{instance}}']],
    }),
  ],
);
