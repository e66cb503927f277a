import { dashboard, lines, stat } from './panels.js';

export const reliability = dashboard(
  { uid: 'undertone-reliability', title: 'Undertone: Reliability', description: 'What fails, what is retried, and what will fail soon?' },
  [
    stat({
      title: 'How many services do not answer?',
      description: 'Targets of the job that Prometheus could not scrape in its latest attempt.',
      unit: 'short',
      queries: [['count(up{job=~"$job"}) - sum(up{job=~"$job"})', 'down']],
      thresholds: { yellow: 1, red: 2 },
    }),
    stat({
      title: 'How many alerts fire?',
      description: 'Alerts of deploy/prometheus/alerts.yaml. docs/monitoring.md says what to do about each.',
      unit: 'short',
      queries: [['count(ALERTS{alertname=~"Undertone.+",alertstate="firing"}) or vector(0)', 'firing']],
      thresholds: { yellow: 1, red: 3 },
    }),
    stat({
      title: 'How often does the store not answer?',
      description:
        'Share of calls in the last five minutes that got no answer, or an answer that asks for a retry. The services retry them.',
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
      description: 'Unreadable shards in the last compaction. The trainer asks features to make them again when a round needs them.',
      unit: 'short',
      queries: [['max(undertone_trainer_compaction_unreadable_shards{job=~"$job"})', 'unreadable']],
      thresholds: { yellow: 1 },
    }),
    lines({
      title: 'How many dead letters are written, and why?',
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
      title: 'How many retries are there?',
      description:
        'Retries per second after an error that may pass. If they do not stop, the store or the broker has a problem, and the logs say which.',
      unit: 'suffix: /s',
      queries: (['ingest', 'features', 'trainer', 'evaluator', 'predictor'] as const).map((stage) => [
        `sum(rate(undertone_${stage}_retries_total{job=~"$job"}[$__rate_interval]))`,
        stage,
      ]),
    }),
    lines({
      title: 'How many calls does the object store get?',
      description:
        'Calls per second of all services, by outcome. `absent` is no failure: the object does not exist, or the condition of a put did not hold.',
      unit: 'suffix: /s',
      queries: [
        ['sum by (outcome) (rate({__name__=~"undertone_.+_s3_call_duration_seconds_count",job=~"$job"}[$__rate_interval]))', '{{outcome}}'],
      ],
    }),
    lines({
      title: 'How fast does the object store answer?',
      description: "95 of 100 calls are no slower, including the whole body and the client's own retries.",
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
        'Time since the consumer took a record, for topics where records wait. Beyond a minute the service reports it on /health/live, and its supervisor replaces it.',
      unit: 's',
      noValue: 'none',
      queries: (['ingest', 'features', 'trainer', 'evaluator', 'predictor'] as const).map((stage) => [
        `max by (topic) (undertone_${stage}_consumer_idle_seconds{job=~"$job"} * on (instance, topic) (undertone_${stage}_consumer_lag_records > bool 0))`,
        `${stage}: {{topic}}`,
      ]),
    }),
    lines({
      title: 'Which services have restarted?',
      description:
        'Restarts per hour that the evaluator has seen. `undertone status` gives the exit of each service and the input to blame.',
      unit: 'short',
      queries: [['sum by (stage) (increase(undertone_evaluator_stage_restarts_total{job=~"$job"}[1h]))', '{{stage}}']],
    }),
    lines({
      title: 'How many corpora are refused?',
      description:
        'Corpora whose annotations ingest cannot use. Their recordings wait. `undertone status` names the corpora and the reasons.',
      unit: 'short',
      thresholds: { yellow: 1 },
      queries: [['max(undertone_evaluator_refused_corpora{job=~"$job"})', 'refused']],
    }),
    lines({
      title: 'How long have the services run?',
      description: 'A fall to 0 is a start. If there are several per hour, read the last error in the log of the service.',
      unit: 's',
      queries: [['time() - process_start_time_seconds{job=~"$job"}', '{{instance}}']],
    }),
    lines({
      title: 'How much memory do they take?',
      description: "Resident memory, without the trainer's compute process.",
      unit: 'bytes',
      queries: [['process_resident_memory_bytes{job=~"$job"}', '{{instance}}']],
    }),
    lines({
      title: 'Are their threads blocked?',
      description: 'Delay of the event loop; 99 of 100 delays are no longer. Beyond 6 s a consumer loses its partitions.',
      unit: 's',
      thresholds: { yellow: 1, red: 6 },
      queries: [['nodejs_eventloop_lag_p99_seconds{job=~"$job"}', '{{instance}}']],
    }),
  ],
);
