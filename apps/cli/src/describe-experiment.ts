/** Describes in words what an experiment will do, before it runs. */
import type { LoadedExperiment } from '#experiments/load-experiment.js';
import { describeData } from '#experiments/experiment-data.js';
import { rotated } from '#experiments/assign-folds.js';
import type { MeasuredModel } from '#experiments/measure-step.js';
import { type PlannedJob, stepsOf } from '#experiments/plan-experiment.js';
import { namesOfRows } from '#experiments/row-names.js';
import { hasWeight } from '#experiments/loss-weights.js';
import type { ModelSettings } from '#paper/settings.js';
import { asDuration, counted } from './human-units.js';
import { alignedTable } from './results.js';

const readings = {
  speaker: 'each speaker in one fold only',
  session: 'each session in one fold only',
  utterance: 'every speaker in each fold, so the model is tested on voices that it was trained on',
};

export function describeExperiment({ file, data, plan }: LoadedExperiment): string {
  const corpora = describeData(data).corpora.map(
    ({ name, utterances, speakers, labelled }) =>
      `${name}: ${utterances} utterances of ${counted(speakers, 'speaker')}, ${labelled} labelled`,
  );
  const { count, by } = file.folds;
  const parts = [
    `${file.title ?? file.name}: ${counted(plan.jobs.length, 'job')}`,
    ...corpora,
    `${count} folds, ${readings[by]}: one is dev, ${data.test ? `${count - 1}` : `one test, ${count - 2}`} train, rotated; ${counted(file.seeds.length, 'seed')}`,
    ...foldSizes({ file, data }),
    ...[...data.findings, ...plan.findings].map((finding) => `! ${finding}`),
  ];
  return parts.join('\n');
}

function foldSizes({ file, data }: Pick<LoadedExperiment, 'file' | 'data'>): string[] {
  const rows = Array.from({ length: file.folds.count }, (_, fold) => {
    const { test, dev } = rotated(fold, file.folds.count);
    const describe = (which: number): string => {
      const own = data.primary.filter(({ utteranceId }) => data.foldOf.get(utteranceId) === which);
      const speakers = new Set(own.map(({ labels }) => labels.speakerId));
      const names = speakers.size <= 3 ? [...speakers].join(', ') : counted(speakers.size, 'speaker');
      return `${own.length} utterances (${names})`;
    };
    return [String(fold + 1), describe(dev), data.test ? `all of ${file.testCorpus}` : describe(test)];
  });
  return [alignedTable(['fold', 'dev', 'test'], rows)];
}

const timingName = ({ model, batch }: { model: ModelSettings; batch: PlannedJob['batch'] }): string => {
  const { seed: _seed, alpha: _alpha, beta: _beta, ...shape } = model;
  return JSON.stringify([shape, batch]);
};

/** @returns one of each kind of network that the jobs train */
export function distinctModels({ plan, file: { steps } }: LoadedExperiment): MeasuredModel[] {
  const found = new Map<string, MeasuredModel>();
  for (const { candidates, batch } of plan.jobs)
    for (const { model } of candidates) found.set(timingName({ model, batch }), { model, batch, steps });
  return [...found.values()];
}

/** @param timing of the distinct models, in their order */
export function describeTime(
  loaded: LoadedExperiment,
  { parallel, timing }: { parallel: number; timing: { stepSec: number[]; machine: string } },
): string {
  const { file, plan } = loaded;
  const secOf = new Map(distinctModels(loaded).map((each, index) => [timingName(each), timing.stepSec[index] ?? 0]));
  const names = namesOfRows(plan.rows);
  const rows = plan.rows
    .filter(({ isQuotedOnly }) => !isQuotedOnly)
    .map(({ id, label }) => {
      const own = plan.jobs.filter(({ job }) => job.rowId === id);
      const sec = own.reduce((sum, job) => sum + trainingSec(job), 0);
      const first = own[0]?.candidates[0];
      const step = first ? secOf.get(timingName({ model: first.model, batch: own[0]!.batch })) : undefined;
      const weights = first ? weightsOf(own[0]!) : '';
      return [
        names.get(id)?.full ?? label,
        String(own.length),
        weights,
        step === undefined ? '' : `${(1000 * step).toFixed(0)} ms`,
        first ? asDuration(sec) : '',
      ];
    });
  function trainingSec({ candidates, batch }: PlannedJob): number {
    return candidates.reduce((sum, { model }) => sum + (secOf.get(timingName({ model, batch })) ?? 0) * stepsOf({ model }, file.steps), 0);
  }
  const total = plan.jobs.reduce((sum, job) => sum + trainingSec(job), 0);
  const patience = file.patience === null ? '' : ', less if a job stops early';
  return [
    alignedTable(['row', 'jobs', 'weights', 'a step', 'alone'], rows),
    `About ${asDuration(total / parallel)} with ${counted(parallel, 'job')} at a time${patience}: ${counted(file.steps, 'step')} each, measured just now with ` +
      `one job on one thread (${timing.machine}). Checks on dev speakers and the test add about a tenth.`,
  ].join('\n');
}

/** Only the weights that count in the row's losses. */
function weightsOf({ row, candidates: [first, ...others] }: PlannedJob): string {
  if (!first) return '';
  if (others.length > 0) return `${1 + others.length} searched`;
  const { progressive, alpha, beta } = first.model;
  if (progressive) return `${counted(progressive.sourceSteps, 'step')} before`;
  return [hasWeight('alpha', row) && `α ${alpha}`, hasWeight('beta', row) && `β ${beta}`].filter(Boolean).join(', ');
}
