import { dashboard, lines, stat } from './panels.js';

export const training = dashboard(
  { uid: 'undertone-training', title: 'Undertone: Training', description: 'Does the trainer learn, and does it wait for data?' },
  [
    stat({
      title: 'How many steps a second?',
      description: 'The rate is 0 between rounds. Then `undertone status` says why the trainer waits.',
      unit: 'suffix: /s',
      queries: [['sum(rate(undertone_trainer_steps_total{job=~"$job"}[$__rate_interval]))', 'steps']],
    }),
    stat({
      title: 'How many recordings are new since the last round?',
      description:
        'Utterances that were added, deleted or changed since the last round. The number falls to 0 when a round starts. Just after a restart it may count all utterances.',
      unit: 'short',
      queries: [['max(undertone_trainer_news_utterances{job=~"$job"})', 'news']],
    }),
    stat({
      title: 'How many rounds were finished in a day?',
      description: 'Each finished round leaves a model that is scored and compared with the champion.',
      unit: 'short',
      queries: [['sum(increase(undertone_trainer_rounds_total{job=~"$job"}[24h]))', 'rounds']],
    }),
    stat({
      title: 'How many problems does the round have?',
      description:
        'Findings: missing labels or classes, a discriminator that has won, heads at chance, stalled learning. `undertone status` describes them.',
      unit: 'short',
      queries: [['max(undertone_trainer_findings{job=~"$job"})', 'findings']],
      thresholds: { yellow: 1, red: 3 },
    }),
    lines({
      title: 'Does it learn?',
      description:
        'Losses of the last reported step, each a mean over its batch. Guessing among four emotions gives ln 4 = 1.39; among n speakers, ln n.',
      unit: 'short',
      queries: [['max by (part) (undertone_trainer_loss{part=~"reconstruction|emotion|gender|speaker",job=~"$job"})', '{{part}}']],
    }),
    lines({
      title: 'Is the adversarial game in balance?',
      description:
        'A discriminator loss near 0, or an accuracy near 1, means that the discriminator has won and the encoder learns nothing from it. Then lower its learning rate. An accuracy of 0.5 is a guess.',
      unit: 'short',
      queries: [['max by (part) (undertone_trainer_loss{part=~"discriminator|generator|discriminatorAccuracy",job=~"$job"})', '{{part}}']],
    }),
    lines({
      title: 'How good is emotion UA on dev speakers in the round?',
      description:
        'Emotion UA at each checkpoint. It decides when the round stops early. The Models dashboard has the scores of finished rounds.',
      unit: 'percentunit',
      max: 1,
      queries: [['max(undertone_trainer_dev_ua_ratio{job=~"$job"})', 'UA on dev']],
    }),
    lines({
      title: 'How long does a step take?',
      description:
        'The time includes the wait for tiles. A slower step has another back end (`undertone status` names it), or shares the machine with other programs.',
      unit: 's',
      queries: [
        [
          'histogram_quantile(0.5, sum by (le) (rate(undertone_trainer_step_duration_seconds_bucket{job=~"$job"}[$__rate_interval])))',
          'median',
        ],
        [
          'histogram_quantile(0.95, sum by (le) (rate(undertone_trainer_step_duration_seconds_bucket{job=~"$job"}[$__rate_interval])))',
          '95 of 100',
        ],
      ],
    }),
    lines({
      title: 'Does the trainer wait for tiles?',
      description:
        'Waiting time as a share of the time of steps. If it is high, the shards exceed SHARD_CACHE_MB and stay in the store, or the disk is slow.',
      unit: 'percentunit',
      max: 1,
      thresholds: { yellow: 0.2, red: 0.5 },
      queries: [
        [
          'sum(rate(undertone_trainer_data_wait_seconds_total{job=~"$job"}[$__rate_interval])) / sum(rate(undertone_trainer_training_seconds_total{job=~"$job"}[$__rate_interval]))',
          'waiting',
        ],
      ],
    }),
    lines({
      title: 'How many tiles can the trainer learn from?',
      description: 'Tiles of training speakers that are alive now. Labelled tiles have a label for the emotion head.',
      unit: 'short',
      queries: [['max by (stream) (undertone_trainer_tiles{job=~"$job"})', '{{stream}}']],
    }),
    lines({
      title: 'How do rounds end?',
      description:
        'A round finishes, or the trainer gives it up with a code and waits for other data or settings. docs/operations.md, "Error codes", says which.',
      unit: 'short',
      queries: [
        ['sum(increase(undertone_trainer_rounds_total{job=~"$job"}[1h]))', 'finished in an hour'],
        ['sum by (code) (increase(undertone_trainer_rounds_refused_total{job=~"$job"}[1h]))', 'given up: {{code}}'],
      ],
    }),
    lines({
      title: 'How long is a round?',
      description: 'Mean time of the rounds that finished in the last six hours: the steps, without the predictions at the end.',
      unit: 's',
      queries: [
        [
          'sum(increase(undertone_trainer_round_duration_seconds_sum{job=~"$job"}[6h])) / sum(increase(undertone_trainer_round_duration_seconds_count{job=~"$job"}[6h]))',
          'a round',
        ],
      ],
    }),
  ],
);
