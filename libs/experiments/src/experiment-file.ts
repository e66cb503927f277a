/**
 * Reads the file of `undertone experiment`: the rows of a table or the lines of a figure (paper, Section V), and the protocol
 * that all rows share.
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
/** The values that the paper searched: 0.1 to 1.0. */
const paperGrid = Array.from({ length: 10 }, (_, index) => (index + 1) / 10);

const quotedSchema = z.strictObject({
  /** Default: the row's target. */
  task: z.enum(tasks).optional(),
  measure: z.enum(['ua', 'wa']).default('ua'),
  /** Percent. */
  value: z.number().min(0).max(100),
  /** Default: the file's `paper`. */
  where: z.string().optional(),
});

const rowSchema = z.strictObject({
  id: slug,
  label: z.string().optional(),
  /** `cnn-lstm` and `progressive` are systems of other papers that Table II quotes: see libs/baselines/src/cnn-lstm.ts and progressive.ts. */
  system: z.enum(systems).default('aae'),
  /** The classes that the emotion head distinguishes. */
  target: z.enum(emotionTargets).default('emotion'),
  /**
   * The task that the row reports. `gender` and `speaker` train the model in single-task mode for that task (paper, Section VI-B):
   * the emotion loss has weight zero (beta 0). No step is chosen on dev speakers, because UA on dev measures emotion.
   */
  task: z.enum(['emotion', 'gender', 'speaker']).default('emotion'),
  /** Tasks learnt beside emotion; empty: single-task. For `progressive`: the one task that is learnt before emotion. */
  auxiliary: z.array(z.enum(['gender', 'speaker'])).default([]),
  alpha: share.optional(),
  beta: share.optional(),
  batch: batch.optional(),
  /** Overrides the file's model settings. */
  model: z.record(z.string(), z.unknown()).default({}),
  quoted: z.array(quotedSchema).default([]),
  /** True: the row only quotes the paper's number and runs no job. */
  quotedOnly: z.boolean().default(false),
});

/** Systems without a network. They use no random numbers, so they have no seed. */
export const referenceSystems = ['majority', 'functionals'] as const;

export const isReference = ({ system }: { system: string }): boolean => referenceSystems.some((each) => each === system);

const schema = z.strictObject({
  name: slug,
  title: z.string().optional(),
  layout: z.enum(['table', 'bars', 'lines']).default('table'),
  /** The table or figure of the paper that this experiment repeats. */
  paper: z.string().nullable().default(null),
  /** One line on the claims that this experiment can and cannot support. */
  note: z.string().default(''),
  /** Synthetic speech: the report marks every figure and page. */
  synthetic: z.boolean().default(false),
  /**
   * A folder of shards; or shards made here from the corpora that the file names: `samples`, the sample corpora, or `corpora`,
   * folders of these names below UNDERTONE_CORPORA. `--shards` overrides it.
   */
  shards: z.string().optional(),
  /** The corpus whose speakers are in the folds. */
  corpus: z.string(),
  /** Corpora used for training without their emotion labels. They are scored for the speaker task only. */
  auxiliary: z.array(z.string()).default([]),
  /** Another corpus. All of it is the test set of every fold. */
  testCorpus: z.string().optional(),
  /**
   * True: only utterances of the four categories count, also for other targets, as in the paper. If `model.tasks.emotion` names
   * other classes, these count.
   */
  fourCategoriesOnly: z.boolean().default(true),
  /**
   * The corpus's utterances without a class of the target, such as its other emotions. `unlabelled`: those of training speakers
   * are unlabelled speech. `leave-out`: they are not used, as in the paper.
   */
  otherEmotions: z.enum(['unlabelled', 'leave-out']).default('unlabelled'),
  /** Feature settings that the shards must have. `samples` shards are made with them. */
  features: z.record(z.string(), z.unknown()).default({}),
  /**
   * `speaker`: no speaker is in two folds (the safe reading of "stratified by speaker"). `session`: no session is in two folds.
   * `utterance`: every speaker is in every fold (the other reading).
   */
  folds: z
    .strictObject({ count: z.int().min(3).default(10), by: z.enum(['speaker', 'session', 'utterance']).default('speaker') })
    .prefault({}),
  seeds: z.array(z.int().min(0)).min(1).default([1]),
  /** Model settings of all rows; see libs/paper/src/settings.ts. */
  model: z.record(z.string(), z.unknown()).default({}),
  batch: batch.default({ labelled: 16, unlabelled: 16 }),
  steps: z.int().min(1).default(2000),
  /** Steps between two dev checks. Each check also writes a checkpoint. */
  checkEvery: z.int().min(1).default(100),
  /** Stop after this many dev checks without a better UA; null: run all steps. The model of the best check counts either way. */
  patience: z.int().min(1).nullable().default(null),
  schedule: z.enum(rateSchedules).default('constant'),
  warmupSteps: z.int().min(0).default(0),
  statisticsTiles: z.int().min(1).default(512),
  /** Values that `--search` tries. It compares them on dev speakers only. */
  search: z.strictObject({ alpha: z.array(share).min(1).default(paperGrid), beta: z.array(share).min(1).optional() }).prefault({}),
  /** Reference rows without a network, for comparison: `majority` and `functionals`. */
  references: z.array(z.enum(referenceSystems)).default([...referenceSystems]),
  /** Trains one model for each point. */
  sweep: z
    .strictObject({ over: z.enum(['auxiliary-speakers', 'label-share']), points: z.array(z.number().min(0)).min(1) })
    .refine(({ over, points }) => over === 'auxiliary-speakers' || points.every((point) => point > 0 && point <= 1), {
      message: 'a share of labels lies above 0 and is at most 1',
      path: ['points'],
    })
    .refine(({ over, points }) => over === 'label-share' || points.every(Number.isInteger), {
      message: 'numbers of speakers must be whole',
      path: ['points'],
    })
    .optional(),
  rows: z.array(rowSchema).min(1),
});
export type ExperimentFile = z.output<typeof schema>;
export type FileRow = ExperimentFile['rows'][number];

/** @throws PipelineError CONFIG_INVALID; the message names the file, each wrong field and its mistake */
export function readExperimentFile(path: string): ExperimentFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new PipelineError('CONFIG_INVALID', `${path}: ${(error as Error).message}`, { cause: error });
  }
  return parseExperimentFile(text, path);
}

/** @param name of the file, for error messages @throws PipelineError CONFIG_INVALID */
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
    if (ids.has(id)) return `rows: two rows have the id ${id}: rename one`;
    ids.add(id);
    if (quotedOnly && quoted.length === 0)
      return `rows.${id}: the row is quotedOnly and quotes nothing: give it quoted, or leave quotedOnly out`;
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
    return 'sweep: auxiliary-speakers needs a corpus to take speakers from, and there is no auxiliary corpus: name one under auxiliary';
  if (auxiliary.includes(corpus)) return `auxiliary: ${corpus} is the corpus of the folds`;
  if (testCorpus !== undefined && (testCorpus === corpus || auxiliary.includes(testCorpus)))
    return `testCorpus: ${testCorpus} is learnt from`;
  return null;
}

/** The model settings of all rows that name the classes of a target. */
export function classSettingsOf({ model }: Pick<ExperimentFile, 'model'>, target: string): Record<string, unknown> {
  return target === 'emotion' ? { target, tasks: model['tasks'], emotionWords: model['emotionWords'] } : { target };
}

/** The fields of a row that describe its network, apart from the settings. */
export function networkOf({ system, target, task, auxiliary }: Omit<FileRow, 'system'> & { system: FileRow['system'] | null }) {
  const learnt = task === 'emotion' ? auxiliary : [task];
  return { system, target, auxiliary: { gender: learnt.includes('gender'), speaker: learnt.includes('speaker') } };
}

/** The baselines of other papers have no alpha or beta to choose, and learn the tasks that those papers name. */
function baselineProblem({ system, task, auxiliary, alpha, beta }: FileRow): string | null {
  if (system !== 'cnn-lstm' && system !== 'progressive') return null;
  if (task !== 'emotion') return `system ${system} learns emotion only: leave task out`;
  if (alpha !== undefined || beta !== undefined) return `system ${system} has neither alpha nor beta: leave them out`;
  if (system === 'cnn-lstm') return auxiliary.length > 0 ? 'system cnn-lstm is single-task: leave auxiliary out' : null;
  return new Set(auxiliary).size === 1 ? null : 'system progressive has one source task: give auxiliary [gender] or [speaker]';
}
