/**
 * Reads and writes the folder of an experiment: experiment.json (the plan), `jobs/` (finished jobs), `work/` (checkpoints of
 * unfinished jobs), and the report's files. The plan and the finished jobs hold all results.
 */
import { join } from 'node:path';
import { stringify } from 'yaml';
import { FolderStore } from '#storage/folder-store.js';
import type { Objects } from '#storage/object-store.js';
import { describeData, type ExperimentData } from './experiment-data.js';
import type { ExperimentFile } from './experiment-file.js';
import type { ExperimentJob, ExperimentResults, JobResult, LossWeight } from './experiment-results.js';
import { readJobResult, readShowcase } from './job-results.js';
import type { ExperimentPlan } from './plan-experiment.js';

const planKey = 'experiment.json';

/** The facts of the experiment that do not depend on the number of finished jobs. */
type RecordedPlan = Pick<ExperimentResults, 'experiment' | 'isSynthetic' | 'data' | 'protocol' | 'rows' | 'settings'> & {
  jobs: ExperimentJob[];
  showcase: string | null;
};

export const workFolderOf = (folder: string, jobId: string): string => join(folder, 'work', jobId);

const stratifications = { speaker: 'speakers-apart', session: 'sessions', utterance: 'every-speaker-in-every-fold' } as const;
const sweepTitles = { 'auxiliary-speakers': 'Auxiliary speakers', 'label-share': 'Share of labels' };

export function recordedPlan(file: ExperimentFile, data: ExperimentData, plan: ExperimentPlan): RecordedPlan {
  const { name, title = name, layout, paper, note, folds, seeds, sweep, steps, synthetic, testCorpus = null } = file;
  const isSearched = (weight: LossWeight): boolean =>
    plan.jobs.some(({ candidates }) => new Set(candidates.map((each) => each[weight])).size > 1);
  return {
    experiment: {
      name,
      title,
      layout,
      paperReference: paper,
      note: [note, ...data.findings, ...plan.findings].filter(Boolean).join(' · '),
    },
    isSynthetic: synthetic,
    data: describeData(data),
    protocol: {
      folds: folds.count,
      stratification: stratifications[folds.by],
      seeds,
      testCorpus,
      sweep: sweep ? sweepTitles[sweep.over] : null,
      steps,
      searched: { alpha: isSearched('alpha'), beta: isSearched('beta') },
    },
    rows: plan.rows,
    settings: stringify(file),
    jobs: plan.jobs.map(({ job }) => job),
    showcase: plan.showcase,
  };
}

export async function writePlan(store: Objects, plan: RecordedPlan): Promise<void> {
  await store.put(planKey, `${JSON.stringify(plan, null, 1)}\n`);
}

export async function hasPlan(store: Objects): Promise<boolean> {
  return (await store.head(planKey)) !== null;
}

/** @returns null if the folder holds no experiment; unfinished jobs are in `missing` */
export async function readExperimentResults(from: string | Objects): Promise<ExperimentResults | null> {
  const store = typeof from === 'string' ? new FolderStore(from) : from;
  const recorded = (await store.findJson(planKey)) as RecordedPlan | null;
  if (!recorded) return null;
  const { jobs, showcase, ...plan } = recorded;
  const results: JobResult[] = [];
  const missing: ExperimentJob[] = [];
  for (const job of jobs) {
    const result = await readJobResult(store, job.jobId);
    if (result) results.push(result);
    else missing.push(job);
  }
  const shown = showcase === null ? { latents: [], reconstructions: [] } : await readShowcase(store, showcase);
  return { ...plan, results, missing, ...shown, madeAt: new Date().toISOString() };
}
