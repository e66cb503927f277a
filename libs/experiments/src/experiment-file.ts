/**
 * The file that `undertone experiment` reads: the rows of a table or the lines of a figure (paper, Section V), and the one
 * protocol that they all go by.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { emotionTargets, tasks } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { parseModelSettings, systems } from '#paper/settings.js';
import { rateSchedules } from '#rounds/learning-rate.js';

const share = z.number().min(0).max(1);
const slug = z.string().regex(/^[\w.-]+$/, 'letters, digits, - _ and . only');
const batch = z.strictObject({ labelled: z.int().min(1), unlabelled: z.int().min(0) });
/** 0.1 to 1.0, as the paper went through. */
const paperGrid = Array.from({ length: 10 }, (_, index) => (index + 1) / 10);

const quotedSchema = z.strictObject({
  /** The row's target if not given. */
  task: z.enum(tasks).optional(),
  measure: z.enum(['ua', 'wa']).default('ua'),
  /** Percent. */
  value: z.number().min(0).max(100),
  /** The file's `paper` if not given. */
  where: z.string().optional(),
});

const rowSchema = z.strictObject({
  id: slug,
  label: z.string().optional(),
  /** `cnn-lstm` and `progressive` are what Table II quotes of other papers: see libs/baselines/src/cnn-lstm.ts and progressive.ts. */
  system: z.enum(systems).default('aae'),
  /** What the emotion head tells apart. */
  target: z.enum(emotionTargets).default('emotion'),
  /**
   * What the row is about. `gender` and `speaker` are the model in single-task mode for that task (paper, Section VI-B): the
   * emotion loss counts nothing (beta 0), and nothing is chosen on dev speakers, who say nothing of it.
   */
  task: z.enum(['emotion', 'gender', 'speaker']).default('emotion'),
  /** Learnt beside emotion; none: single-task. Of `progressive` the one task that is learnt before emotion. */
  auxiliary: z.array(z.enum(['gender', 'speaker'])).default([]),
  alpha: share.optional(),
  beta: share.optional(),
  batch: batch.optional(),
  /** Over the file's. */
  model: z.record(z.string(), z.unknown()).default({}),
  quoted: z.array(quotedSchema).default([]),
  /** A number of the paper's for which nothing is run. */
  quotedOnly: z.boolean().default(false),
});

/** Systems without a network: nothing in them is drawn, so that they have no seed. */
export const referenceSystems = ['majority', 'functionals'] as const;

export const isReference = ({ system }: { system: string }): boolean => referenceSystems.some((each) => each === system);

const schema = z.strictObject({
  name: slug,
  title: z.string().optional(),
  layout: z.enum(['table', 'bars', 'lines']).default('table'),
  /** Which table or figure of the paper it is. */
  paper: z.string().nullable().default(null),
  /** A line on what it shows, and what not. */
  note: z.string().default(''),
  /** Made speech: the report says so everywhere. */
  synthetic: z.boolean().default(false),
  /** A folder of shards, or `samples`: made here from those of the sample corpora that the file names. `--shards` goes before it. */
  shards: z.string().optional(),
  /** The corpus whose speakers are in the folds. */
  corpus: z.string(),
  /** Corpora that are learnt from without their emotions, and never scored but for their speakers. */
  auxiliary: z.array(z.string()).default([]),
  /** Another corpus, all of which is the test of every fold. */
  testCorpus: z.string().optional(),
  /** Whether only utterances of one of the four categories count, also for other targets, as in the paper. */
  fourCategoriesOnly: z.boolean().default(true),
  /** Feature settings that the shards must have; `samples` are made with them. */
  features: z.record(z.string(), z.unknown()).default({}),
  /**
   * `speaker`: no speaker in two folds (the safe reading of "stratified by speaker"); `session`: no session in two;
   * `utterance`: every speaker in every fold, the other reading.
   */
  folds: z
    .strictObject({ count: z.int().min(3).default(10), by: z.enum(['speaker', 'session', 'utterance']).default('speaker') })
    .prefault({}),
  seeds: z.array(z.int().min(0)).min(1).default([1]),
  /** Of all rows; see libs/paper/src/settings.ts. */
  model: z.record(z.string(), z.unknown()).default({}),
  batch: batch.default({ labelled: 16, unlabelled: 16 }),
  steps: z.int().min(1).default(2000),
  /** Steps from one look at dev speakers, and one checkpoint, to the next. */
  checkEvery: z.int().min(1).default(100),
  /** Looks without a better UA of dev speakers after which it is enough; null: all steps. The best look's model counts either way. */
  patience: z.int().min(1).nullable().default(null),
  schedule: z.enum(rateSchedules).default('constant'),
  warmupSteps: z.int().min(0).default(0),
  statisticsTiles: z.int().min(1).default(512),
  /** What `--search` goes through, on dev speakers only. */
  search: z.strictObject({ alpha: z.array(share).min(1).default(paperGrid), beta: z.array(share).min(1).optional() }).prefault({}),
  /** Rows that a reader expects beside, without a network. */
  references: z.array(z.enum(referenceSystems)).default([...referenceSystems]),
  /** One model for each of the points. */
  sweep: z
    .strictObject({ over: z.enum(['auxiliary-speakers', 'label-share']), points: z.array(z.number().min(0)).min(1) })
    .refine(({ over, points }) => over === 'auxiliary-speakers' || points.every((point) => point > 0 && point <= 1), {
      message: 'a share of labels lies above 0 and is at most 1',
      path: ['points'],
    })
    .refine(({ over, points }) => over === 'label-share' || points.every(Number.isInteger), {
      message: 'numbers of speakers are whole',
      path: ['points'],
    })
    .optional(),
  rows: z.array(rowSchema).min(1),
});
export type ExperimentFile = z.output<typeof schema>;
export type FileRow = ExperimentFile['rows'][number];

/** @throws PipelineError CONFIG_INVALID, naming the file, each field and what is wrong with it */
export function readExperimentFile(path: string): ExperimentFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new PipelineError('CONFIG_INVALID', `${path}: ${(error as Error).message}`, { cause: error });
  }
  return parseExperimentFile(text, path);
}

/** @param name of what is read, for errors @throws PipelineError CONFIG_INVALID */
export function parseExperimentFile(text: string, name: string): ExperimentFile {
  let content: unknown;
  try {
    content = parse(text);
  } catch (error) {
    throw new PipelineError('CONFIG_INVALID', `${name}: ${(error as Error).message}`, { cause: error });
  }
  const parsed = schema.safeParse(content);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`);
    throw new PipelineError('CONFIG_INVALID', `${name}: ${problems.join('; ')}`);
  }
  const problem = problemOf(parsed.data);
  if (problem) throw new PipelineError('CONFIG_INVALID', `${name}: ${problem}`);
  return parsed.data;
}

function problemOf({ rows, model, sweep, auxiliary, corpus, testCorpus }: ExperimentFile): string | null {
  const ids = new Set<string>();
  for (const row of rows) {
    const { id, task, auxiliary: beside, quotedOnly, quoted } = row;
    if (ids.has(id)) return `rows: two are called ${id}`;
    ids.add(id);
    if (quotedOnly && quoted.length === 0) return `rows.${id}: it is quotedOnly and quotes nothing`;
    if (task !== 'emotion' && beside.some((each) => each !== task)) return `rows.${id}: task ${task} is learnt alone: leave auxiliary out`;
    const problem = baselineProblem(row);
    if (problem) return `rows.${id}: ${problem}`;
    try {
      parseModelSettings({ ...model, ...row.model, ...networkOf(row) });
    } catch (error) {
      return `rows.${id}: ${(error as Error).message}`;
    }
  }
  if (sweep?.over === 'auxiliary-speakers' && auxiliary.length === 0)
    return 'sweep: there is no auxiliary corpus whose speakers could be counted: name one under auxiliary';
  if (auxiliary.includes(corpus)) return `auxiliary: ${corpus} is the corpus of the folds`;
  if (testCorpus !== undefined && (testCorpus === corpus || auxiliary.includes(testCorpus)))
    return `testCorpus: ${testCorpus} is learnt from`;
  return null;
}

/** What a row says of its network beside the settings. */
export function networkOf({ system, target, task, auxiliary }: Omit<FileRow, 'system'> & { system: FileRow['system'] | null }) {
  const learnt = task === 'emotion' ? auxiliary : [task];
  return { system, target, auxiliary: { gender: learnt.includes('gender'), speaker: learnt.includes('speaker') } };
}

/** The baselines that other papers describe have no shares to choose, and learn what those papers say. */
function baselineProblem({ system, task, auxiliary, alpha, beta }: FileRow): string | null {
  if (system !== 'cnn-lstm' && system !== 'progressive') return null;
  if (task !== 'emotion') return `system ${system} is about emotion: leave task out`;
  if (alpha !== undefined || beta !== undefined) return `system ${system} has neither alpha nor beta: leave them out`;
  if (system === 'cnn-lstm') return auxiliary.length > 0 ? 'system cnn-lstm is single-task: leave auxiliary out' : null;
  return new Set(auxiliary).size === 1 ? null : 'system progressive has one source task: give auxiliary [gender] or [speaker]';
}
