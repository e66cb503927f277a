import { bars, dashboard, lines, stat, type Question } from './panels.js';

const of = 'job=~"$job"';
/** The emotion targets. The gender and speaker tasks have panels of their own. */
const target = 'task!~"gender|speaker"';

/** The age of the newest model, the main number of continuous training. */
export const modelAge: Question = {
  title: 'How fresh is the newest model?',
  description:
    'Time since ingest of the newest recording that the newest model could learn from. Without new recordings it grows, and nothing is wrong. Compare it with the age of the newest recording on Models.',
  unit: 's',
  queries: [[`time() - max(undertone_evaluator_model_newest_utterance_timestamp_seconds{${of}})`, 'newest model']],
  thresholds: { yellow: 6 * 3_600, red: 24 * 3_600 },
  noValue: 'no model yet',
};

export const models = dashboard(
  {
    uid: 'undertone-models',
    title: 'Undertone: Models',
    description: 'How good and how fresh are the newest model (the challenger) and the champion, which is in use?',
  },
  [
    stat(modelAge),
    stat({
      ...modelAge,
      title: 'How fresh is the champion?',
      description:
        'The same age for the champion, which is in use. If it is much older than the newest model, new models were not better: see the decisions below.',
      queries: [[`time() - max by (target) (undertone_evaluator_champion_newest_utterance_timestamp_seconds{${of}})`, '{{target}}']],
      noValue: 'no champion yet',
    }),
    stat({
      title: 'How old is the newest recording?',
      description: 'Time since ingest of the newest trainable recording that is alive. No model can be fresher.',
      unit: 's',
      queries: [[`time() - max(undertone_evaluator_newest_utterance_timestamp_seconds{${of}})`, 'newest recording']],
    }),
    stat({
      title: 'Which champion is it?',
      description: 'The number of the champion, as in champions/<number>.json. `undertone models` lists all champions.',
      unit: 'short',
      queries: [[`max by (target) (undertone_evaluator_champion_number{${of}})`, '{{target}}']],
      noValue: 'none',
    }),
    lines({
      title: 'How fresh is each model over time?',
      description:
        'In a healthy stream the newest model stays close above the newest recording, as a sawtooth. If the newest model rises alone, no new model was made. If the champion rises alone, no new model was better.',
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
        title:
          split === 'dev'
            ? 'Is the newest model better than the champion on dev speakers?'
            : 'Is the newest model better than the champion on test speakers?',
        description:
          split === 'dev'
            ? 'UA, the mean recall over classes. Promotion depends on these speakers: the model must be better with probability 0.95, and no class 10 points worse.'
            : 'UA on speakers that decide nothing, so report this score. WA is the share of utterances that were answered right.',
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
          'Recall by class on dev speakers: the share of a class that was recognised. The model almost never answers a class near 0.',
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
    ...(['newest model', 'champion'] as const).map((which) => {
      const start = `undertone_evaluator_${which === 'champion' ? 'champion_' : ''}`;
      return lines({
        title: `Whom does the ${which} serve badly?`,
        description:
          'UA of emotion on dev speakers: by gender, and the median and the worst single speaker with at least five utterances. A mean over all speakers hides them.',
        unit: 'percentunit',
        max: 1,
        queries: [
          [`max by (gender) (${start}gender_ua_ratio{${target},split="dev",${of}})`, '{{gender}}'],
          [`max by (statistic) (${start}speaker_ua_ratio{${target},split="dev",${of}})`, '{{statistic}} speaker'],
        ],
      });
    }),
    lines({
      title: 'How well does the newest model recognise speakers and genders?',
      description: 'UA of the newest model: gender on test speakers, speakers on withheld utterances of training speakers.',
      unit: 'percentunit',
      max: 1,
      queries: [
        [`max by (task, split) (undertone_evaluator_ua_ratio{task=~"gender|speaker",split=~"test|withheld",${of}})`, '{{task}}, {{split}}'],
      ],
    }),
    lines({
      title: 'How are new models decided?',
      description:
        'Decisions in a day. `too-few-speakers`: fewer than five dev speakers. `not-better`, `recall-fell`: the champion stays. `stale`: another model was promoted meanwhile.',
      unit: 'short',
      queries: [[`sum by (outcome) (increase(undertone_evaluator_promotions_total{${of}}[24h]))`, '{{outcome}}']],
    }),
  ],
);
