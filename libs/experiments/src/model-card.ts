/**
 * Renders a model card as Markdown (Mitchell et al., "Model cards for model reporting", 2019): intended use, training data,
 * evaluation and scores, limits, and how to load the model. The card states only known facts, and names the unknown ones.
 */
import { stringify } from 'yaml';
import { targetOf } from '#rounds/checkpoint-store.js';
import { fewestSpeakers } from '#evaluation/bootstrap.js';
import { fairnessText } from '#evaluation/fairness.js';
import { counted, grouped, interval, nothing, percent } from './format-numbers.js';
import type { ModelCardFacts } from './read-model-card.js';
import { escaped } from './report-markdown.js';
import { taskName } from './task-names.js';

/** With more classes than this, the card gives the range of recalls only. */
const mostRecalls = 8;

export function renderModelCard(facts: ModelCardFacts): string {
  const { runId, step } = facts.checkpoint;
  const parts = [
    `# Model card: ${runId}/${step}`,
    ...(facts.syntheticCorpora.length > 0
      ? [`> **Synthetic voices (${facts.syntheticCorpora.join(', ')}): the scores below are no evidence about real emotion.**`]
      : []),
    introduction(facts),
    '## Intended use',
    use(facts),
    '## Training data',
    training(facts),
    '## Evaluation',
    protocol(facts),
    ...scores(facts),
    '## Limits',
    limits(facts),
    '## Loading the model',
    loading(facts),
    '## Settings and code',
    settings(facts),
  ];
  return `${parts.join('\n\n')}\n`;
}

function introduction({ checkpoint, champion }: ModelCardFacts): string {
  const target = taskName(targetOf(checkpoint));
  const made = `${target} from speech: a network of the multi-task semi-supervised adversarial autoencoder family (Rana et al.), round ${checkpoint.round} of run \`${checkpoint.runId}\`, saved ${checkpoint.savedAt.slice(0, 10)}.`;
  if (!champion) return `${made} It never was the champion of its target.`;
  const decided = champion.by === 'person' ? 'by a person' : 'by the evaluator';
  return `${made} ${champion.isStill ? 'It is' : 'It was'} champion ${champion.number}, promoted ${decided} on ${champion.since.slice(0, 10)}: ${escaped(champion.why)}`;
}

function use({ checkpoint, scores: all }: ModelCardFacts): string {
  const classes = all.find(({ evaluation }) => evaluation.task === targetOf(checkpoint))?.evaluation.classes;
  const output = classes ? `the probabilities of ${classes.join(', ')}` : 'the probabilities of its classes';
  return [
    `- **For:** research on speech emotion recognition; for a recording of one speaker it returns ${output}, as the mean over the recording’s tiles.`,
    '- **Not for:** decisions about persons. The sound of a voice does not show a person’s feelings, and the labels are other people’s impressions. In the European Union, inferring emotions at work and in education is prohibited except for medical and safety reasons (Regulation (EU) 2024/1689, Article 5).',
    '- **Not for** speech unlike its training data: other languages, rooms, telephones, ages.',
  ].join('\n');
}

function training({ checkpoint, lineage, speakersHeard }: ModelCardFacts): string {
  const { view, seen, parent, erasedInRound } = checkpoint;
  const corpora = Object.entries(lineage.byCorpus).map(([corpus, versions]) => `| ${escaped(corpus)} | ${grouped(versions)} |`);
  const back = lineage.parents.map(({ step, round }) => `step ${step} (round ${round})`).join(', ');
  const lines = [
    `- ${counted(seen.versions, 'utterance version')} in all its rounds, of ${speakersHeard === 0 ? 'unnamed speakers' : `${counted(speakersHeard, 'speaker')} known by name`}.`,
    `- Tiles of its last round: ${grouped(view.tiles.labelled)} labelled for emotion, ${grouped(view.tiles.unlabelled)} unlabelled.`,
    `- Descends from: ${back || (parent ? `step ${parent.step}, which is no longer kept` : 'no earlier model')}.`,
    ...(erasedInRound > 0 ? [`- ${counted(erasedInRound, 'utterance')} of its last round were erased or replaced while it ran.`] : []),
    `- To list every utterance version: \`./undertone lineage ${checkpoint.runId}/${checkpoint.step} --json\`.`,
  ];
  const table = corpora.length > 0 ? `| corpus | utterance versions |\n| --- | --: |\n${corpora.join('\n')}\n\n` : '';
  return `${table}${lines.join('\n')}`;
}

function protocol({ checkpoint }: ModelCardFacts): string {
  const chosen = checkpoint.best
    ? `Its weights are those of step ${checkpoint.weightsStep}, the best on dev speakers`
    : 'Its weights are those of its last step, because no step was checked on dev speakers';
  return `Training used no dev or test speakers. ${chosen}. The dev speakers that chose it do not score it. Promotion depends on the other dev speakers; test is only reported. A model can only recognise speakers of its training data, so the speaker task is scored on withheld utterances of these speakers. WA is accuracy, UA the mean recall over classes. Intervals are 95 %, by bootstrap over speakers, and need at least ${fewestSpeakers} speakers. ECE is the expected calibration error of the probabilities in ten bins. All values are percent.`;
}

function scores({ scores: all }: ModelCardFacts): string[] {
  if (all.length === 0) return ['It was never scored, because no speaker was held out.'];
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
    ...fairness(all),
  ];
}

/** A mean over all speakers hides who is served badly. */
function fairness(all: ModelCardFacts['scores']): string[] {
  const lines = all.flatMap(({ evaluation }) => {
    const text = fairnessText(evaluation);
    return text ? [`- ${taskName(evaluation.task)}, ${evaluation.split}: ${escaped(text)}`] : [];
  });
  return lines.length > 0 ? [`By gender and by speaker (speakers with at least five utterances):\n\n${lines.join('\n')}`] : [];
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
    lines.push('It was trained on a speech synthesiser that “acts” emotions by a table. It is untested on people.');
  if (!test)
    lines.push(
      'It was not scored on test speakers. Any scores above are from dev speakers. They decided that it became the champion, so the scores of a champion are too high.',
    );
  else if (test.uaInterval === null)
    lines.push(`It was tested on ${counted(test.speakers, 'speaker')}, too few to predict its scores on other speakers.`);
  if (worst) lines.push(`It misses ${escaped(worst[0])} most often: it recognises ${percent(worst[1])} % of these utterances.`);
  lines.push('The intervals cover the choice of test speakers, not a change of corpus, language or microphone.');
  lines.push('Scores by age, accent and other groups are unknown, because the labels do not record them.');
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
    'Add `--from DIR` if `undertone train` made the model in a folder. Other formats: tfjs-layers, safetensors.',
    '',
    `Weights: \`${checkpoint.weights.key}\`, ${grouped(checkpoint.weights.sizeBytes)} bytes, SHA-256 \`${checkpoint.weights.sha256}\`.`,
  ].join('\n');
}

function settings({ checkpoint }: ModelCardFacts): string {
  const { codeVersion, configHash, settingsHash, view, model, config } = checkpoint;
  const all = stringify({ model: model['settings'] ?? model, run: config }).trimEnd();
  return `Code ${codeVersion}; settings \`${configHash}\`; feature settings \`${settingsHash}\`; view \`${view.digest.slice(0, 16)}\`.\n\n\`\`\`yaml\n${all}\n\`\`\``;
}
