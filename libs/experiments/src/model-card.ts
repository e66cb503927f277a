/**
 * A model card as Markdown (Mitchell et al., "Model cards for model reporting", 2019): what a model is for, what it has
 * heard, how it was scored and how well, where it fails, and how to load it. Only what is known of it; what is not, it says.
 */
import { stringify } from 'yaml';
import { targetOf } from '#rounds/checkpoint-store.js';
import { fewestSpeakers } from '#evaluation/bootstrap.js';
import { counted, grouped, interval, nothing, percent } from './format-numbers.js';
import type { ModelCardFacts } from './read-model-card.js';
import { escaped } from './report-markdown.js';
import { taskName } from './task-names.js';

/** Recalls of more classes than this are told by their range. */
const mostRecalls = 8;

export function renderModelCard(facts: ModelCardFacts): string {
  const { runId, step } = facts.checkpoint;
  const parts = [
    `# Model card: ${runId}/${step}`,
    ...(facts.syntheticCorpora.length > 0
      ? [`> **Synthetic voices (${facts.syntheticCorpora.join(', ')}): the scores below say nothing of real emotion.**`]
      : []),
    introduction(facts),
    '## What it is for',
    use(facts),
    '## What it has heard',
    training(facts),
    '## How it was scored',
    protocol(facts),
    ...scores(facts),
    '## Limits',
    limits(facts),
    '## How to load it',
    loading(facts),
    '## Settings and code',
    settings(facts),
  ];
  return `${parts.join('\n\n')}\n`;
}

function introduction({ checkpoint, champion }: ModelCardFacts): string {
  const target = taskName(targetOf(checkpoint));
  const made = `${target} from speech: a network of the multi-task semi-supervised adversarial autoencoder family (Rana et al.), round ${checkpoint.round} of run \`${checkpoint.runId}\`, saved ${checkpoint.savedAt.slice(0, 10)}.`;
  if (!champion) return `${made} It is not and never was the champion of its target.`;
  const decided = champion.by === 'person' ? 'by a person' : 'by the evaluator';
  return `${made} ${champion.isStill ? 'It is' : 'It was'} champion ${champion.number}, made so ${decided} on ${champion.since.slice(0, 10)}: ${escaped(champion.why)}`;
}

function use({ checkpoint, scores: all }: ModelCardFacts): string {
  const classes = all.find(({ evaluation }) => evaluation.task === targetOf(checkpoint))?.evaluation.classes;
  const says = classes ? `the probabilities of ${classes.join(', ')}` : 'the probabilities of its classes';
  return [
    `- **For:** research on speech emotion recognition; a recording of one speaker gives ${says}, the mean over its tiles.`,
    '- **Not for:** decisions about persons. What a voice sounds like is not what a person feels, and the labels are other people’s impressions. In the European Union inferring emotions at work and in education is prohibited but for medical and safety reasons (Regulation (EU) 2024/1689, Article 5).',
    '- **Not for** speech unlike what it has heard: other languages, rooms, telephones, ages.',
  ].join('\n');
}

function training({ checkpoint, lineage, speakersHeard }: ModelCardFacts): string {
  const { view, seen, parent, erasedInRound } = checkpoint;
  const corpora = Object.entries(lineage.byCorpus).map(([corpus, versions]) => `| ${escaped(corpus)} | ${grouped(versions)} |`);
  const back = lineage.parents.map(({ step, round }) => `step ${step} (round ${round})`).join(', ');
  const lines = [
    `- ${counted(seen.versions, 'utterance version')} in all its rounds, of ${speakersHeard === 0 ? 'speakers that nobody has named' : `${counted(speakersHeard, 'speaker')} known by name`}.`,
    `- Tiles of its last round: ${grouped(view.tiles.labelled)} labelled for emotion, ${grouped(view.tiles.unlabelled)} not.`,
    `- Goes back to: ${back || (parent ? `step ${parent.step}, which is no longer kept` : 'nothing, it was begun anew')}.`,
    ...(erasedInRound > 0 ? [`- ${counted(erasedInRound, 'utterance')} of its last round erased or replaced while it ran.`] : []),
    `- Every utterance version: \`./undertone lineage ${checkpoint.runId}/${checkpoint.step} --json\`.`,
  ];
  const table = corpora.length > 0 ? `| corpus | utterance versions heard |\n| --- | --: |\n${corpora.join('\n')}\n\n` : '';
  return `${table}${lines.join('\n')}`;
}

function protocol({ checkpoint }: ModelCardFacts): string {
  const chosen = checkpoint.best
    ? `Its weights are those of step ${checkpoint.weightsStep}, the best on dev speakers`
    : 'Its weights are those of its last step; dev speakers were not looked at on the way';
  return `Dev and test speakers were not heard in training. ${chosen}; promotion looks at dev, test is only reported. Speakers can only be recognised among those that were heard, so that task is scored on utterances of theirs that were withheld. WA is accuracy, UA the mean recall over classes; intervals are 95 %, by bootstrap over speakers, with none below ${fewestSpeakers}. ECE is the expected calibration error of the probabilities in ten bins. Percent.`;
}

function scores({ scores: all }: ModelCardFacts): string[] {
  if (all.length === 0) return ['It was scored on nothing: nobody was held out.'];
  const rows = all.map(({ evaluation, calibration }) => {
    const { task, split, n, speakers, wa, ua, uaInterval, classes } = evaluation;
    const cells = [grouped(n), grouped(speakers), percent(wa), percent(ua), interval(uaInterval), percent(1 / classes.length)];
    return `| ${[taskName(task), split, ...cells, percent(calibration?.ece)].join(' | ')} |`;
  });
  const head = ['task', 'split', 'utterances', 'speakers', 'WA', 'UA', '95 % interval of UA', 'chance', 'ECE'];
  const recalls = all.map(({ evaluation }) => `- ${taskName(evaluation.task)}, ${evaluation.split}: ${recallText(evaluation)}`);
  return [
    [`| ${head.join(' | ')} |`, '| --- | --- | --: | --: | --: | --: | --: | --: | --: |', ...rows].join('\n'),
    `Recall by class, percent:\n\n${recalls.join('\n')}`,
  ];
}

function recallText({ classes, recall }: ModelCardFacts['scores'][number]['evaluation']): string {
  if (classes.length <= mostRecalls) return classes.map((name) => `${escaped(name)} ${percent(recall[name])}`).join(', ');
  const known = classes.flatMap((name) => recall[name] ?? []);
  if (known.length === 0) return nothing;
  return `of ${known.length} of ${classes.length} classes, from ${percent(Math.min(...known))} to ${percent(Math.max(...known))}`;
}

function limits({ scores: all, syntheticCorpora, checkpoint }: ModelCardFacts): string {
  const emotion = all.filter(({ evaluation }) => evaluation.task === targetOf(checkpoint));
  const test = emotion.find(({ evaluation }) => evaluation.split === 'test')?.evaluation;
  const worst =
    test &&
    Object.entries(test.recall).reduce<[string, number] | null>(
      (low, [name, value]) => (value !== null && (!low || value < low[1]) ? [name, value] : low),
      null,
    );
  const lines: string[] = [];
  if (syntheticCorpora.length > 0)
    lines.push('It has learnt how a speech synthesiser “acts” emotions by a table. On people it is untested.');
  if (!test) lines.push('It was not scored on test speakers: what is above, if anything, also chose it, and flatters it.');
  else if (test.uaInterval === null)
    lines.push(`It was tested on ${counted(test.speakers, 'speaker')}: too few to say how well it does on others.`);
  if (worst) lines.push(`It misses ${escaped(worst[0])} most often: it hears ${percent(worst[1])} % of them.`);
  lines.push('An interval holds the luck of who the test speakers were, not that of another corpus, language or microphone.');
  lines.push('Scores by age, accent and other groups are not known: the labels do not hold them.');
  return lines.map((line) => `- ${line}`).join('\n');
}

function loading({ checkpoint }: ModelCardFacts): string {
  const name = `${checkpoint.runId}/${checkpoint.step}`;
  return [
    '```sh',
    `./undertone predict new.wav --model ${name}`,
    `./undertone export-model --format onnx --model ${name} --out model`,
    '```',
    '',
    'With `--from DIR` where it lies in a folder that `undertone train` has made. Other formats: tfjs-layers, safetensors.',
    '',
    `Weights: \`${checkpoint.weights.key}\`, ${grouped(checkpoint.weights.sizeBytes)} bytes, SHA-256 \`${checkpoint.weights.sha256}\`.`,
  ].join('\n');
}

function settings({ checkpoint }: ModelCardFacts): string {
  const { codeVersion, configHash, settingsHash, view, model, config } = checkpoint;
  const all = stringify({ model: model['settings'] ?? model, run: config }).trimEnd();
  return `Code ${codeVersion}; settings \`${configHash}\`; feature settings \`${settingsHash}\`; view \`${view.digest.slice(0, 16)}\`.\n\n\`\`\`yaml\n${all}\n\`\`\``;
}
