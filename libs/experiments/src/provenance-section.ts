/** Builds the report's section on provenance: protocol, data, machines and time, missing jobs, settings, and how numbers are computed. */
import { draws } from './compare-systems.js';
import type { ExperimentJob, ExperimentResults, JobResult, LossWeight } from './experiment-results.js';
import { duration, grouped, listed } from './format-numbers.js';
import { hasWeight } from './loss-weights.js';
import { namesOfRows } from './row-names.js';
import type { ReportBlock, ReportSection, ReportTable } from './report-blocks.js';

const stratifications: Record<ExperimentResults['protocol']['stratification'], string> = {
  'speakers-apart':
    'By speaker: no speaker is in two folds, so training never uses test speakers. This is the safe reading of the paper’s “stratified based on speaker ID”.',
  'every-speaker-in-every-fold':
    'Stratified: every fold holds utterances of every speaker, the other reading of the paper’s “stratified based on speaker ID”. Training uses utterances of the test speakers, so scores are higher than for new speakers.',
  sessions: 'By recording session: the speakers of a session are in one fold.',
};

export function howItWasMade(results: ExperimentResults): ReportSection {
  const { settings, missing } = results;
  const blocks: ReportBlock[] = [
    { kind: 'facts', facts: protocolFacts(results) },
    dataTable(results),
    ...(results.results.length > 0 ? [timeTable(results)] : []),
    ...(missing.length > 0 ? [missingTable(results)] : []),
    { kind: 'facts', facts: methodFacts(results) },
    { kind: 'text', text: 'All settings of the experiment:' },
    { kind: 'code', text: settings.trimEnd() },
  ];
  return { id: 'made', title: 'How it was made', blocks };
}

function protocolFacts(all: ExperimentResults): [string, string][] {
  const { protocol, data, results, experiment, madeAt } = all;
  const versions = [...new Set(results.map(({ codeVersion }) => codeVersion))];
  const tested = protocol.testCorpus === null ? '' : ` Each model is tested on all of ${protocol.testCorpus}.`;
  return [
    ['Experiment', `${experiment.name}; report of ${madeAt.slice(0, 16).replace('T', ' ')} UTC`],
    ['Folds', `${protocol.folds}. ${stratifications[protocol.stratification]}${tested}`],
    ['Seeds', protocol.seeds.join(', ')],
    ['Training', `${grouped(protocol.steps)} steps at most, the weights of the best step on dev speakers`],
    ...weightFact('alpha', all),
    ...weightFact('beta', all),
    ['Data', `view ${data.viewDigest}; feature settings ${data.settingsHash ?? 'more than one'}`],
    [
      'Code',
      versions.length > 1 ? `${listed(versions)}: more than one version ran the jobs, so compare with care` : (versions[0] ?? 'none yet'),
    ],
  ];
}

const letters: Record<LossWeight, string> = { alpha: 'α', beta: 'β' };

/** Null if no row has the weight. */
function weightFact(weight: LossWeight, { rows, results, protocol }: ExperimentResults): [string, string][] {
  const having = new Set(rows.filter((row) => hasWeight(weight, row)).map(({ id }) => id));
  if (having.size === 0) return [];
  const found = new Set(results.filter(({ job }) => having.has(job.rowId)).map(({ job }) => job[weight]));
  const values = [...found].sort((a, b) => a - b).join(', ') || 'none yet';
  const how = protocol.searched[weight] ? 'searched on dev speakers only' : 'as the settings give it, not searched';
  return [[letters[weight], `${values}; ${how}`]];
}

function dataTable({ data, isSynthetic }: ExperimentResults): ReportTable {
  return {
    kind: 'table',
    id: 'data',
    caption: `The data${isSynthetic ? ' (synthetic voices)' : ''}: utterances, utterances labelled for emotion, speakers, and spectrogram tiles of each corpus.`,
    columns: [{ name: 'Corpus' }, ...['utterances', 'labelled', 'speakers', 'tiles'].map((name) => ({ name, numeric: true }))],
    rows: data.corpora.map(({ name, utterances, labelled, speakers, tiles }) => [
      name,
      ...[utterances, labelled, speakers, tiles].map(grouped),
    ]),
  };
}

function timeTable({ results }: ExperimentResults): ReportTable {
  const byMachine = [...Map.groupBy(results, ({ machine }) => machine)];
  return {
    kind: 'table',
    id: 'time',
    caption: 'The machines that ran the jobs, with the sum of the jobs’ wall times.',
    columns: [{ name: 'Machine' }, ...['jobs', 'wall time', 'a job, mean'].map((name) => ({ name, numeric: true }))],
    rows: byMachine.map(([machine, own]) => [
      machine,
      grouped(own.length),
      duration(wallSecOf(own)),
      duration(wallSecOf(own) / own.length),
    ]),
  };
}

const wallSecOf = (results: readonly JobResult[]): number => results.reduce((sum, { wallSec }) => sum + wallSec, 0);

function missingTable({ missing, rows, protocol }: ExperimentResults): ReportTable {
  const names = namesOfRows(rows);
  const sweep = protocol.sweep === null ? [] : [{ name: protocol.sweep, numeric: true }];
  return {
    kind: 'table',
    id: 'missing',
    caption: `Jobs that were planned and are not done: ${grouped(missing.length)}.`,
    columns: [{ name: 'System' }, ...sweep, { name: 'jobs', numeric: true }, { name: 'which' }],
    rows: [...Map.groupBy(missing, ({ rowId, point }) => `${rowId} ${point}`).values()].map((own) => {
      const [{ rowId, point }] = own as [ExperimentJob];
      return [names.get(rowId)?.full ?? rowId, ...(sweep.length > 0 ? [grouped(point ?? 0)] : []), grouped(own.length), placesOf(own)];
    }),
  };
}

function placesOf(jobs: readonly ExperimentJob[]): string {
  return [...Map.groupBy(jobs, ({ seed }) => seed)]
    .sort(([a], [b]) => a - b)
    .map(([seed, own]) => `seed ${seed}: ${own.length === 1 ? 'fold' : 'folds'} ${listed(own.map(({ fold }) => String(fold)))}`)
    .join('; ');
}

const noPredictions: [string, string] = [
  'Predictions',
  'No predictions were kept. The report has means over folds, but no intervals, comparisons or calibration.',
];

function methodFacts({ results, protocol }: ExperimentResults): [string, string][] {
  const kept = results.some(({ predictions }) => predictions.length > 0);
  return [
    [
      'WA, UA',
      'WA: the share of test utterances that the system answered right. UA: the mean recall over the classes that occur (scikit-learn’s balanced accuracy). An utterance’s probabilities are the mean of its tiles’.',
    ],
    [
      'Mean and SD',
      'Each fold has the mean over its seeds. The table gives mean and standard deviation (n − 1) of these fold means. SD over seeds is the standard deviation of each seed’s mean over folds.',
    ],
    [
      'Interval',
      `The interval is of the pooled score, from the predictions of all folds and seeds together. That is ${protocol.testCorpus === null ? 'each seed’s score over all test speakers, averaged over seeds' : 'each model’s score over all test speakers, averaged over folds and seeds'} (where jobs are missing, weighted by utterances). The bootstrap makes 1,000 draws of speakers with replacement, each with all utterances of a speaker, and takes the middle 95 %. The interval covers the choice of speakers, not a change of corpus.`,
    ],
    [
      'Comparisons',
      `Both systems are scored on the same utterances and the same ${grouped(draws)} draws of speakers. p is twice the share of draws in which the lower system is better (ties halved, one draw added to either side). Holm’s correction covers the comparisons of a table. “No” does not mean “equal”: with few speakers a test can miss a real difference.`,
    ],
    ...(kept ? [] : [noPredictions]),
  ];
}
