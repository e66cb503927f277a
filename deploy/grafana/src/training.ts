import { dashboard, lines, stat } from './panels.js';

export const training = dashboard(
  { uid: 'undertone-training', title: 'Undertone: Training', description: 'Does the trainer learn, and what does it wait for?' },
  [
    stat({
      title: 'How many steps a second?',
      description: '0 between rounds: then `undertone status` says what the trainer waits for.',
      unit: 'suffix: /s',
      queries: [['sum(rate(undertone_trainer_steps_total{job=~"$job"}[$__rate_interval]))', 'steps']],
    }),
    stat({
      title: 'How many recordings has no round had yet?',
      description:
        'Utterances that came, went or changed since the last round. It falls to 0 when a round starts; just after a restart it may be all.',
      unit: 'short',
      queries: [['max(undertone_trainer_news_utterances{job=~"$job"})', 'news']],
    }),
    stat({
      title: 'How many rounds were finished in a day?',
      description: 'Each leaves a model that is scored and compared with the champion.',
      unit: 'short',
      queries: [['sum(increase(undertone_trainer_rounds_total{job=~"$job"}[24h]))', 'rounds']],
    }),
    stat({
      title: 'How much is wrong with the round?',
      description:
        'Findings: labels or classes that are missing, a discriminator that has won, heads at chance, learning that has stalled. `undertone status` says them in words.',
      unit: 'short',
      queries: [['max(undertone_trainer_findings{job=~"$job"})', 'findings']],
      thresholds: { yellow: 1, red: 3 },
    }),
    lines({
      title: 'Does it learn?',
      description:
        'Losses of the last reported step, each a mean over its batch. ln 4 = 1.39 is guessing among four emotions; ln of their number for speakers.',
      unit: 'short',
      queries: [['max by (part) (undertone_trainer_loss{part=~"reconstruction|emotion|gender|speaker",job=~"$job"})', '{{part}}']],
    }),
    lines({
      title: 'Is the adversarial game in balance?',
      description:
        'A discriminator loss near 0, or an accuracy near 1, means that it has won and the encoder learns nothing from it: lower its learning rate. Accuracy 0.5 is a guess.',
      unit: 'short',
      queries: [['max by (part) (undertone_trainer_loss{part=~"discriminator|generator|discriminatorAccuracy",job=~"$job"})', '{{part}}']],
    }),
    lines({
      title: 'How well are dev speakers understood in the round?',
      description: 'Emotion UA at each checkpoint; it decides when the round is enough. Models has the scores of finished rounds.',
      unit: 'percentunit',
      max: 1,
      queries: [['max(undertone_trainer_dev_ua_ratio{job=~"$job"})', 'UA on dev']],
    }),
    lines({
      title: 'How long does a step take?',
      description:
        'Waiting for tiles included. A step that has become slower: another back end (`undertone status` names it), or a machine that is shared.',
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
      title: 'Does it wait for tiles?',
      description: 'Share of the time of steps. Much of it: shards lie in the store beyond SHARD_CACHE_MB, or on a slow disk.',
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
      title: 'What is there to learn from?',
      description: 'Tiles of training speakers that are alive now. Labelled are those that carry what the emotion head learns.',
      unit: 'short',
      queries: [['max by (stream) (undertone_trainer_tiles{job=~"$job"})', '{{stream}}']],
    }),
    lines({
      title: 'How do rounds end?',
      description:
        'Finished, or given up with a code: then the trainer waits for other data or settings, and docs/operations.md, "Error codes", says which.',
      unit: 'short',
      queries: [
        ['sum(increase(undertone_trainer_rounds_total{job=~"$job"}[1h]))', 'finished in an hour'],
        ['sum by (code) (increase(undertone_trainer_rounds_refused_total{job=~"$job"}[1h]))', 'given up: {{code}}'],
      ],
    }),
    lines({
      title: 'How long is a round?',
      description: 'Mean of the rounds that finished in the last six hours: its steps, without the predictions at its end.',
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
