/**
 * What a model is made of and how it learns: every size, rate and switch of the paper's Section IV-C and of the three
 * phases, with defaults that train in a minute's patience. One object, saved whole in each checkpoint.
 * It does not say on what to train: corpora, splits and the batch's size belong to the trainer.
 */
import { z } from 'zod';
import { emotionTargets, genders, targetClasses } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { presetNames } from '#contracts/presets.js';
import { modelPresets } from './presets.js';

/** The speaker head grows by whole blocks of this many units; units without a speaker are masked. */
export const SPEAKER_BLOCK = 256;

/** Every head ends in a 2x2 max-pool, so z must be at least this high and wide. */
const SMALLEST_LATENT = 2;

const pair = z.tuple([z.int().min(1), z.int().min(1)]);
const positive = z.number().positive();
const share = z.number().min(0, 'must lie in [0, 1]').max(1, 'must lie in [0, 1]');

export const systems = ['aae', 'ae', 'cnn', 'cnn-lstm', 'progressive'] as const;

const cnnLstmSchema = z.strictObject({
  /** Of the four convolutional blocks, in place of the shared settings of these names. */
  filters: z.array(z.int().min(1)).min(1).default([16, 16, 32, 32]),
  pools: z
    .array(pair)
    .min(1)
    .default([
      [2, 2],
      [2, 2],
      [2, 2],
      [2, 1],
    ]),
  /** Of the LSTM, in each direction. */
  units: z.int().min(1).default(64),
  /** Learning rate of the recurrent part, as a factor of `learningRate`. */
  recurrentRate: positive.default(1),
  /** Between which factors a training tile's frequencies are warped; [1, 1]: not at all. */
  warp: z
    .tuple([positive, positive])
    .refine(([lowest, highest]) => lowest <= highest, 'the first factor must not be above the second')
    .default([0.9, 1.1]),
});

const progressiveSchema = z.strictObject({
  /** Updates of the first column, on the source task, before it is frozen. */
  sourceSteps: z.int().min(1).default(1000),
  /** An adapter's inner width: that of the layer it reads (of dense ones: `dense`) over this. */
  reduction: z.int().min(1).default(2),
});

const schema = z.strictObject({
  /** The preset that gives the settings that are left out (presets.ts). Parsed settings hold every value and no preset. */
  preset: z.enum(presetNames).optional(),
  /**
   * `aae`: the paper's model; `ae`: without phase 2; `cnn`: two shared blocks and the heads, nothing unsupervised. Of the papers
   * that Table II quotes: `cnn-lstm` [73] (cnn-lstm.ts), `progressive` [78] (progressive.ts).
   */
  system: z.enum(systems).default('aae'),
  /** `phases`: one optimiser step per phase, as in the paper; `joint`: eq. 5 as one step from one encoder pass. */
  update: z.enum(['phases', 'joint']).default('phases'),
  /** Rows (frequency) and frames (time) of a tile. */
  tile: pair.default([128, 256]),
  /** Filters of the encoder's blocks; the decoder mirrors them; `cnn` takes the first two. */
  filters: z.array(z.int().min(1)).min(1).default([16, 32, 32]),
  /** Max-pool [rows, frames] of each block. */
  pools: z
    .array(pair)
    .min(1)
    .default([
      [2, 2],
      [2, 4],
      [2, 2],
    ]),
  /** Side of the encoder's and decoder's kernels. */
  kernel: z.int().min(1).default(5),
  /** `gaussian`: last block without ReLU, p(z) = N(0, I); `relu`: with it, p(z) the rectified normal. */
  latent: z.enum(['gaussian', 'relu']).default('gaussian'),
  /** What the emotion head tells apart: categories, levels of activation or valence, or clusters of both (Section IV-A). */
  target: z.enum(emotionTargets).default('emotion'),
  /** Table I: upper edges of the lowest and the middle level, by corpus; for others see `levelOf`. */
  levels: z
    .record(
      z.string(),
      z.tuple([z.number(), z.number()]).refine(([low, middle]) => low < middle, 'the first edge must be the lower one'),
    )
    .default({}),
  /**
   * Against classes that are rare in training: `weights` counts a tile by the inverse of its class's frequency in the
   * emotion loss, `sampling` draws labelled tiles of all classes equally often.
   */
  classBalance: z.enum(['none', 'weights', 'sampling']).default('none'),
  /** What the heads tell apart. Label n of a batch is class n of the list: names and order are those of the contracts. */
  tasks: z
    .strictObject({
      /** Those of `target`. With target `emotion`, a run may name its own. */
      emotion: z.array(z.string()).optional(),
      gender: z.array(z.string()).default([...genders]),
      /** Speakers known so far; the head holds whole blocks of 256 and grows with `growSpeakers`. */
      speakers: z.int().min(0).default(0),
    })
    .prefault({}),
  /** Categories of the recordings that count as another class of the run, for instance {"calm": "neutral"}. */
  emotionWords: z.record(z.string(), z.string()).optional(),
  /** The auxiliary heads that exist. Without any, the model learns emotion alone (eq. 1). */
  auxiliary: z.strictObject({ gender: z.boolean().default(true), speaker: z.boolean().default(true) }).prefault({}),
  /** Share of the unsupervised objective, eq. 1 and 2. */
  alpha: share.default(0.4),
  /** Share of emotion among the tasks, eq. 3. */
  beta: share.default(0.5),
  learningRate: positive.default(1e-3),
  adamEpsilon: positive.default(1e-7),
  /** How much of the old running statistics stays at each step. */
  batchNormMomentum: share.default(0.9),
  /** Phase 2 of `update: phases`; rates are factors of `learningRate`. */
  regularisation: z
    .strictObject({
      discriminatorRate: positive.default(0.05),
      encoderRate: positive.default(0.3),
      /** One-sided label smoothing: what the discriminator is asked to answer for prior samples. */
      realLabel: z.number().gt(0.5).max(1).default(0.9),
      /** The generator's: -log D(E(x)), or eq. 5 as printed, log(1 - D(E(x))), which hardly has a gradient once the discriminator wins. */
      generatorLoss: z.enum(['non-saturating', 'literal']).default('non-saturating'),
    })
    .prefault({}),
  /** The adversarial part of `update: joint`. */
  joint: z
    .strictObject({
      adversarialWeight: z.number().min(0).default(0.1),
      discriminatorRate: positive.default(0.1),
    })
    .prefault({}),
  /** Noise of this deviation on z while training, for everything that reads z: a stochastic encoder; absent: none. */
  latentNoise: z.number().min(0).optional(),
  /** Above this accuracy the discriminator rests, and its pull on the encoder fades to nothing as the accuracy nears 1. */
  accuracyLimit: z.number().min(0.5).max(1).optional(),
  /**
   * `whole`: the discriminator sees all of z at once, as in the paper. `places`: it judges each place of z, its numbers over the
   * channels, by itself. Neighbouring places of a real z are alike and those of a prior sample are not, so a discriminator of the
   * whole tells them apart whatever the encoder does. Absent: `whole`.
   */
  discriminator: z.enum(['whole', 'places']).optional(),
  dropout: z.number().min(0).lt(1).default(0.5),
  /** Absent: pixels over 255, as in the paper. `rows`: each row is standardised by training tiles (input-scale.ts). */
  input: z.strictObject({ standardise: z.enum(['none', 'rows']).default('none') }).optional(),
  /** Changes to training tiles (augmentation.ts); absent: none, as in the paper. */
  augmentation: z
    .strictObject({
      /** A tile is shifted by up to so many frames, either way. */
      shiftFrames: z.int().min(0).default(0),
      /** Pixels of 255 by which a tile grows louder or softer at most. */
      gain: z.number().min(0).default(0),
      /** Bands of each kind in a tile, and how many rows and frames one covers at most. */
      masks: z.int().min(0).default(0),
      maskRows: z.int().min(0).default(0),
      maskFrames: z.int().min(0).default(0),
    })
    .optional(),
  /** Share of each kernel that a step takes off at a rate of 1 (Loshchilov and Hutter 2019, AdamW); absent: none. */
  weightDecay: z.number().min(0).optional(),
  /** Units of the first dense layer of heads and discriminator. */
  dense: z.int().min(1).default(128),
  /** Filters of the 3x3 convolution of heads and discriminator. */
  headFilters: z.int().min(1).default(32),
  /** Of the heads' targets: this much goes evenly to all classes, so that no head grows certain of a rater's choice. */
  labelSmoothing: z.number().min(0).lt(1).default(0),
  /** `perLogK` divides the speaker loss by ln(speakers), so that 2 494 speakers do not drown four emotions. */
  speakerLoss: z.enum(['raw', 'perLogK']).default('raw'),
  /** Seeds weights, prior samples and dropout. */
  seed: z.int().min(0).default(1),
  /** Of system `cnn-lstm`; absent in the others, whose runs keep their digests. */
  cnnLstm: cnnLstmSchema.optional(),
  /** Of system `progressive`; absent in the others. */
  progressive: progressiveSchema.optional(),
});

type ParsedSettings = Omit<z.output<typeof schema>, 'preset'>;
export type ModelSettings = Omit<ParsedSettings, 'tasks'> & { tasks: ParsedSettings['tasks'] & { emotion: string[] } };
export type ModelSettingsInput = z.input<typeof schema>;

/**
 * Fills in the defaults and checks what the sizes mean together.
 * @throws PipelineError SETTINGS_INVALID, naming each setting and what to change.
 */
export function parseModelSettings(input: unknown = {}): ModelSettings {
  const given = schema.safeParse(input);
  const parsed =
    given.success && given.data.preset ? schema.safeParse({ ...modelPresets[given.data.preset], ...(input as object) }) : given;
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'settings'}: ${issue.message}`);
    throw new PipelineError('SETTINGS_INVALID', `model settings: ${problems.join('; ')}`);
  }
  const { preset: _, ...values } = parsed.data;
  const { tasks, target, system } = values;
  const settings = {
    ...values,
    tasks: { ...tasks, emotion: tasks.emotion ?? [...targetClasses[target]] },
    ...(system === 'cnn-lstm' && { cnnLstm: values.cnnLstm ?? cnnLstmSchema.parse({}) }),
    ...(system === 'progressive' && { progressive: values.progressive ?? progressiveSchema.parse({}) }),
  };
  const problem = systemProblem(settings) ?? classProblem(settings) ?? sizeProblem(settings);
  if (problem) throw new PipelineError('SETTINGS_INVALID', `model settings: ${problem}`);
  return settings;
}

/** Without a decoder: nothing is learnt from tiles without a label. */
export function isSupervised({ system }: Pick<ModelSettings, 'system'>): boolean {
  return system !== 'aae' && system !== 'ae';
}

/** The encoder's blocks: all of them, the two that the CNN's heads share, or the CNN-LSTM's own. */
export function encoderBlocks(settings: ModelSettings): { filters: number[]; pools: [number, number][] } {
  if (settings.cnnLstm) return settings.cnnLstm;
  const depth = settings.system === 'cnn' ? 2 : settings.filters.length;
  return { filters: settings.filters.slice(0, depth), pools: settings.pools.slice(0, depth) };
}

/** [rows, frames, channels] of z: 16 x 16 x 32 by default. */
export function latentShape(settings: ModelSettings): [number, number, number] {
  const { filters, pools } = encoderBlocks(settings);
  const rows = pools.reduce((size, [factor]) => size / factor, settings.tile[0]);
  const frames = pools.reduce((size, [, factor]) => size / factor, settings.tile[1]);
  return [rows, frames, filters.at(-1)!];
}

/** Units of the speaker head for that many speakers: whole blocks, one at least. */
export function speakerCapacity(speakers: number): number {
  return Math.max(1, Math.ceil(speakers / SPEAKER_BLOCK)) * SPEAKER_BLOCK;
}

/** The model has a head beside emotion's. Which heads learn, and so which equation holds, is decided in losses.ts. */
export function hasAuxiliaryHeads({ auxiliary }: Pick<ModelSettings, 'auxiliary'>): boolean {
  return auxiliary.gender || auxiliary.speaker;
}

/** What the first column of `progressive` learns. */
export function sourceTaskOf({ auxiliary }: ModelSettings): 'gender' | 'speaker' {
  return auxiliary.gender ? 'gender' : 'speaker';
}

function systemProblem({ system, auxiliary, cnnLstm, progressive }: ModelSettings): string | null {
  if (cnnLstm && system !== 'cnn-lstm') return `cnnLstm is of system cnn-lstm, and this is ${system}: leave it out`;
  if (progressive && system !== 'progressive') return `progressive is of a system of that name, and this is ${system}: leave it out`;
  if (system === 'cnn-lstm' && (auxiliary.gender || auxiliary.speaker))
    return 'system cnn-lstm learns emotion alone: set auxiliary.gender and auxiliary.speaker to false';
  if (system === 'progressive' && auxiliary.gender === auxiliary.speaker)
    return 'system progressive has one source task: set one of auxiliary.gender and auxiliary.speaker to true, the other to false';
  return null;
}

/** Labels other than emotions are numbered by fixed vocabularies: in another order, answers would bear the wrong name. */
function classProblem({ tasks, target, emotionWords }: ModelSettings): string | null {
  const problem = target === 'emotion' ? ownClassProblem(tasks.emotion, emotionWords) : null;
  if (problem) return problem;
  const fixed = [
    ...(target === 'emotion' ? [] : [{ name: 'emotion', given: tasks.emotion, known: targetClasses[target], of: `target ${target}` }]),
    { name: 'gender', given: tasks.gender, known: genders, of: 'gender' },
  ];
  const wrong = fixed.find(({ given, known }) => given.join('\n') !== known.join('\n'));
  return wrong
    ? `tasks.${wrong.name} is ${wrong.given.join(', ')}, but the classes of ${wrong.of} are ${wrong.known.join(', ')}, in this order: leave it out`
    : null;
}

function ownClassProblem(classes: readonly string[], words: Record<string, string> = {}): string | null {
  if (classes.length < 2) return `tasks.emotion has ${classes.length} classes: name at least two, or leave it out`;
  if (new Set(classes).size < classes.length || classes.includes(''))
    return 'tasks.emotion names a class twice, or an empty one: correct the list';
  const [word, stray] = Object.entries(words).find(([, name]) => !classes.includes(name)) ?? [];
  return word === undefined
    ? null
    : `emotionWords maps ${word} to ${stray}, which is not one of the classes ${classes.join(', ')}: name one of these`;
}

function sizeProblem(settings: ModelSettings): string | null {
  const { tile, system, kernel } = settings;
  const { filters, pools } = settings.cnnLstm ?? settings;
  if (filters.length !== pools.length) return `filters has ${filters.length} blocks and pools ${pools.length}: give one pool per block`;
  if (system === 'cnn' && filters.length < 2) return 'system cnn shares two blocks: give at least two filters and pools';
  const [rows, frames] = latentShape(settings);
  const axes = [
    { axis: 'rows', size: rows, full: tile[0] },
    { axis: 'frames', size: frames, full: tile[1] },
  ];
  for (const { axis, size, full } of axes) {
    if (!Number.isInteger(size))
      return `pools do not divide the tile's ${full} ${axis}: change tile or pools so that each pool divides what the one before it leaves`;
    if (size < SMALLEST_LATENT && system !== 'cnn-lstm')
      return `pools leave z ${size} ${axis}, the heads need ${SMALLEST_LATENT}: use smaller pools or a larger tile`;
  }
  // A stride above the kernel would leave pixels that no transposed convolution reaches.
  if (!isSupervised(settings) && pools.some((pool) => Math.max(...pool) > kernel))
    return `a pool is wider than kernel ${kernel}: raise kernel to the widest pool`;
  return null;
}
