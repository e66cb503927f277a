import { bars, dashboard, lines, stat, type Question } from './panels.js';

const of = 'job=~"$job"';
/** Emotion targets; gender and speakers have panels of their own. */
const target = 'task!~"gender|speaker"';

/** The one number that continuous training is about. */
export const modelAge: Question = {
  title: 'How fresh is the newest model?',
  description:
    'Time since the newest recording that it could learn from was ingested. Where nothing new comes, it grows and nothing is wrong: compare it with the age of the newest recording on Models.',
  unit: 's',
  queries: [[`time() - max(undertone_evaluator_model_newest_utterance_timestamp_seconds{${of}})`, 'newest model']],
  thresholds: { yellow: 6 * 3_600, red: 24 * 3_600 },
  noValue: 'no model yet',
};

export const models = dashboard(
  {
    uid: 'undertone-models',
    title: 'Undertone: Models',
    description: 'How good and how fresh are the newest model, the challenger, and the champion, which is the one in use?',
  },
  [
    stat(modelAge),
    stat({
      ...modelAge,
      title: 'How fresh is the champion?',
      description: 'The same of the model in use. Much older than the newest: new models are not found better, see the decisions below.',
      queries: [[`time() - max by (target) (undertone_evaluator_champion_newest_utterance_timestamp_seconds{${of}})`, '{{target}}']],
      noValue: 'no champion yet',
    }),
    stat({
      title: 'How old is the newest recording?',
      description: 'Time since the newest live recording that may be learnt from was ingested. No model can be fresher.',
      unit: 's',
      queries: [[`time() - max(undertone_evaluator_newest_utterance_timestamp_seconds{${of}})`, 'newest recording']],
    }),
    stat({
      title: 'Which champion is it?',
      description: 'Its number, as in champions/<number>.json; `undertone models` lists all.',
      unit: 'short',
      queries: [[`max by (target) (undertone_evaluator_champion_number{${of}})`, '{{target}}']],
      noValue: 'none',
    }),
    lines({
      title: 'How old is what each knows?',
      description:
        'In a healthy stream the newest model saws close above the newest recording. A line that rises alone: no new model (newest), or none that was better (champion).',
      unit: 's',
      span: 24,
      queries: [
        [`time() - max(undertone_evaluator_newest_utterance_timestamp_seconds{${of}})`, 'newest recording'],
        [`time() - max(undertone_evaluator_model_newest_utterance_timestamp_seconds{${of}})`, 'newest model'],
        [`time() - max by (target) (undertone_evaluator_champion_newest_utterance_timestamp_seconds{${of}})`, 'champion of {{target}}'],
      ],
    }),
    ...(['dev', 'test'] as const).map((split) =>
      lines({
        title: split === 'dev' ? 'Is the newest model better than the champion on dev speakers?' : 'And on test speakers?',
        description:
          split === 'dev'
            ? 'UA, the mean recall over classes. Promotion looks at these speakers: with probability 0.95 better, and no class 10 points worse.'
            : 'UA on speakers that decide nothing: what to report. WA is the share of utterances that were right.',
        unit: 'percentunit',
        max: 1,
        queries: [
          [`max by (task) (undertone_evaluator_ua_ratio{${target},split="${split}",${of}})`, 'newest: {{task}} UA'],
          [`max by (task) (undertone_evaluator_wa_ratio{${target},split="${split}",${of}})`, 'newest: {{task}} WA'],
          [`max by (task) (undertone_evaluator_champion_ua_ratio{${target},split="${split}",${of}})`, 'champion: {{task}} UA'],
          [`max by (task) (undertone_evaluator_champion_wa_ratio{${target},split="${split}",${of}})`, 'champion: {{task}} WA'],
        ],
      }),
    ),
    ...(['newest model', 'champion'] as const).map((which) =>
      bars({
        title: `Which emotions does the ${which} recognise?`,
        description:
          'Recall by class on dev speakers: of the recordings of a class, the share that was recognised. A class near 0 is never said.',
        unit: 'percentunit',
        max: 1,
        thresholds: { greenFrom: 0.25 },
        queries: [
          [
            `max by (task, class) (undertone_evaluator_${which === 'champion' ? 'champion_' : ''}recall_ratio{${target},split="dev",${of}})`,
            '{{class}}',
          ],
        ],
      }),
    ),
    lines({
      title: 'How well does it tell speakers and genders?',
      description: 'UA of the newest model. Gender on test speakers; speakers on utterances of known ones that were withheld.',
      unit: 'percentunit',
      max: 1,
      queries: [
        [`max by (task, split) (undertone_evaluator_ua_ratio{task=~"gender|speaker",split=~"test|withheld",${of}})`, '{{task}}, {{split}}'],
      ],
    }),
    lines({
      title: 'What becomes of new models?',
      description:
        'Decisions in a day. `too-few-speakers`: fewer than five dev speakers. `not-better`, `recall-fell`: the champion stays. `stale`: another was promoted meanwhile.',
      unit: 'short',
      queries: [[`sum by (outcome) (increase(undertone_evaluator_promotions_total{${of}}[24h]))`, '{{outcome}}']],
    }),
  ],
);
