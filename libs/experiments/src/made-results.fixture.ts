/**
 * Makes up results of experiments for the report's tests and for previews. Systems of a given skill answer for made-up utterances
 * of made-up speakers, some of whom are harder than others. The same seed gives the same results.
 */
import { targetClasses, type EmotionTarget, type Task } from '#contracts/labels.js';
import { reportedSplit } from '#contracts/evaluations.js';
import { seededRandom } from '#evaluation/seeded-random.js';
import { confusionMatrix, mostProbable, scoresOf } from '#evaluation/confusion.js';
import type { PredictionRow } from '#evaluation/predictions-file.js';
import type {
  ExperimentJob,
  ExperimentResults,
  ExperimentRow,
  JobResult,
  LatentSample,
  ReconstructionSample,
} from './experiment-results.js';

export interface MadeRow extends Partial<Omit<ExperimentRow, 'quoted'>> {
  id: string;
  /** Skill of the emotion head: its share of the evidence for the true class. 0 is guessing, 2 is good. */
  skill: number;
  quoted?: ExperimentRow['quoted'];
}

export interface MadeOptions {
  layout: ExperimentResults['experiment']['layout'];
  rows: MadeRow[];
  folds?: number;
  seeds?: number[];
  points?: number[];
  speakersPerFold?: number;
  utterancesPerSpeaker?: number;
  seed?: number;
  /** Share of the planned jobs that are missing. */
  missingShare?: number;
  isSynthetic?: boolean;
  title?: string;
  paperReference?: string | null;
}

const emotionOf: Record<string, EmotionTarget> = {
  activation: 'activation',
  valence: 'valence',
  'clusters-3': 'clusters-3',
  'clusters-5': 'clusters-5',
};

export function madeResults(options: MadeOptions): ExperimentResults {
  const { layout, folds = 10, seeds = [1], points, seed = 1, missingShare = 0, isSynthetic = true } = options;
  const random = seededRandom(seed);
  const rows = options.rows.map(rowOf);
  const planned = options.rows.flatMap((made, rowIndex) =>
    made.isQuotedOnly
      ? []
      : (points ?? [null]).flatMap((point) =>
          seeds.flatMap((jobSeed) =>
            Array.from({ length: folds }, (_, fold) => ({
              made,
              row: rows[rowIndex] as ExperimentRow,
              job: jobOf(made.id, point, fold, jobSeed),
            })),
          ),
        ),
  );
  const done = planned.filter(() => random() >= missingShare);
  const missing = planned.filter((each) => !done.includes(each));
  return {
    experiment: {
      name: `sample-${layout}`,
      title: options.title ?? 'A made experiment',
      layout,
      paperReference: options.paperReference === undefined ? 'Table III' : options.paperReference,
      note: 'Made for the tests of the report; no network was trained.',
    },
    isSynthetic,
    data: {
      corpora: [
        { name: 'sample-labelled', utterances: 320, speakers: 20, tiles: 391, labelled: 320 },
        { name: 'sample-unlabelled', utterances: 177, speakers: 21, tiles: 250, labelled: 0 },
      ],
      viewDigest: '9f2c4e81d7aa',
      settingsHash: '5b1d02c9',
    },
    protocol: {
      folds,
      stratification: 'speakers-apart',
      seeds,
      testCorpus: null,
      sweep: points ? 'Auxiliary speakers' : null,
      steps: 200,
      searched: { alpha: false, beta: false },
    },
    rows,
    results: done.map(({ made, row, job }) => resultOf(made, row, job, options)),
    missing: missing.map(({ job }) => job),
    latents: madeLatents(seededRandom(seed + 1)),
    reconstructions: [0, 1, 2].map((index) => madeReconstruction(index, seededRandom(seed + 2 + index))),
    settings: 'system: aae\nfilters: [8, 16, 32]\nalpha: 0.4\nsteps: 200\nbatch:\n  labelled: 16\n  unlabelled: 16\n',
    madeAt: '2026-11-26T03:12:00.000Z',
  };
}

function rowOf({ skill: _, ...given }: MadeRow): ExperimentRow {
  return { label: given.id, system: 'aae', target: 'emotion', auxiliary: [], quoted: [], isQuotedOnly: false, ...given };
}

const jobOf = (rowId: string, point: number | null, fold: number, seed: number): ExperimentJob => ({
  jobId: `${rowId}-${point ?? 'all'}-${fold}-${seed}`,
  rowId,
  point,
  fold,
  seed,
  alpha: 0.4,
  beta: 0.3,
});

function resultOf({ skill }: MadeRow, row: ExperimentRow, job: ExperimentJob, options: MadeOptions): JobResult {
  // More speakers help at first, then less: the plateau of Fig. 3.
  const gained = job.point === null ? skill : skill * (1 - Math.exp(-(job.point + 150) / 300));
  const tasks: [Task, number][] = [
    [emotionOf[row.target] ?? 'emotion', gained],
    ...row.auxiliary.map((task): [Task, number] => [task, task === 'gender' ? gained + 2 : gained + 1]),
  ];
  const predictions = tasks.map(([task, ofTask]) => answersOf(task, { job, skill: ofTask, row, options }));
  return {
    job,
    evaluations: predictions.map(({ task, classes, rows }) => {
      const scored = rows.map(({ truth, probabilities }) => ({ truth, prediction: mostProbable(probabilities) }));
      const { n, wa, ua, recall, confusion } = scoresOf(confusionMatrix(scored, classes.length));
      return {
        runId: job.jobId,
        step: 200,
        task,
        split: reportedSplit(task),
        n,
        speakers: new Set(rows.map(({ speakerId }) => speakerId)).size,
        wa,
        ua,
        uaInterval: null,
        recall: Object.fromEntries(classes.map((name, index) => [name, recall[index] ?? null])),
        classes,
        confusion,
        viewDigest: '9f2c4e81d7aa',
        evaluatedAt: '2026-11-26T03:00:00.000Z',
      };
    }),
    predictions,
    curve: row.system === 'majority' || row.system === 'functionals' ? [] : curveOf(job, skill),
    bestStep: 160,
    wallSec: 41.5,
    machine: '2 cores, x86-64, native TensorFlow 2.15.1',
    codeVersion: '5738fa8',
  };
}

const classesOf = (task: Task): string[] =>
  task === 'gender'
    ? ['female', 'male']
    : task === 'speaker'
      ? Array.from({ length: 12 }, (_, index) => `speaker ${index + 1}`)
      : [...targetClasses[task]];

interface Answering {
  job: ExperimentJob;
  skill: number;
  row: ExperimentRow;
  options: MadeOptions;
}

function answersOf(task: Task, { job, skill, row, options }: Answering): { task: Task; classes: string[]; rows: PredictionRow[] } {
  const { speakersPerFold = 2, utterancesPerSpeaker = 16, seed = 1 } = options;
  const classes = classesOf(task);
  const rows: PredictionRow[] = [];
  for (let speaker = 0; speaker < speakersPerFold; speaker++) {
    // Every system finds the same speakers and utterances hard. Each system adds noise of its own.
    const hard = seededRandom(hash(`${seed} ${job.fold} ${speaker} ${task}`));
    const own = seededRandom(hash(`${row.id} ${job.point} ${job.fold} ${job.seed} ${speaker} ${task}`));
    const ease = 0.5 + hard();
    for (let index = 0; index < utterancesPerSpeaker; index++) {
      const truth = index % classes.length;
      const logits = classes.map((_, each) => 0.7 * normal(hard) + 0.7 * normal(own) + (each === truth ? skill * ease : 0));
      // Neighbouring classes are confused: anger with joy, low with medium.
      logits[(truth + 1) % classes.length]! += 0.4;
      const speakerId = `${task === 'speaker' ? 'known' : 's'}-${job.fold}-${speaker}`;
      const utteranceId = `sample-labelled/${speakerId}/${index}.wav`;
      const probabilities = row.system === 'majority' ? softmax([4, ...classes.slice(1).map(() => 0)], 4) : softmax(logits, 1.6);
      rows.push({ utteranceId, split: reportedSplit(task), speakerId, truth, probabilities });
    }
  }
  return { task, classes, rows };
}

function softmax(logits: readonly number[], sharpness: number): Float32Array {
  const powers = logits.map((logit) => Math.exp(sharpness * logit));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return Float32Array.from(powers, (power) => power / total);
}

function curveOf({ fold, seed, rowId }: ExperimentJob, skill: number): JobResult['curve'] {
  const random = seededRandom(hash(`curve ${fold} ${seed} ${rowId}`));
  return Array.from({ length: 21 }, (_, index) => {
    const step = index * 10;
    const learnt = 1 - Math.exp(-step / 60);
    return {
      step,
      losses: {
        reconstruction: 0.12 * (1 - 0.75 * learnt) + 0.006 * random(),
        discriminator: 0.69 - 0.12 * learnt + 0.05 * random(),
        emotion: 1.386 - 0.35 * skill * learnt + 0.15 * random(),
      },
      devUa: step % 20 === 0 ? Math.min(0.95, 0.25 + 0.22 * skill * learnt + 0.08 * (random() - 0.5)) : null,
    };
  });
}

const emotions = targetClasses.emotion;

function madeLatents(random: () => number): LatentSample[] {
  const direction = (name: string): Float32Array => {
    const own = seededRandom(hash(name));
    return Float32Array.from({ length: 48 }, () => normal(own));
  };
  return Array.from({ length: 160 }, (_, index) => {
    const emotion = emotions[index % 4] as string;
    const speakerId = `s-${Math.floor(index / 4) % 12}`;
    const gender = Math.floor(index / 4) % 2 === 0 ? 'female' : 'male';
    const parts: [Float32Array, number][] = [
      [direction(emotion), 1.1],
      [direction(speakerId), 0.5],
      [direction(gender), 1.2],
    ];
    const code = Float32Array.from({ length: 48 }, (_, dimension) =>
      parts.reduce((sum, [values, weight]) => sum + weight * (values[dimension] as number), 2.6 * normal(random)),
    );
    return {
      utteranceId: `sample-labelled/${speakerId}/${index}.wav`,
      speakerId,
      emotion: index % 10 === 9 ? null : emotion,
      gender,
      code,
    };
  });
}

function madeReconstruction(index: number, random: () => number): ReconstructionSample {
  const shape: [number, number] = [64, 128];
  const [rows, frames] = shape;
  const original = new Float32Array(rows * frames);
  const reconstruction = new Float32Array(rows * frames);
  for (let row = 0; row < rows; row++) {
    for (let frame = 0; frame < frames; frame++) {
      const voiced = Math.max(0, Math.sin((frame / frames) * Math.PI * (3 + index)));
      const pitch = 6 + index + 1.5 * Math.sin(frame / 14);
      const harmonic = Math.cos((2 * Math.PI * row) / pitch) * 0.5 + 0.5;
      const envelope = voiced * Math.exp(-row / 38);
      original[row * frames + frame] = Math.min(1, 0.08 * random() + envelope * (0.35 + 0.65 * harmonic));
      reconstruction[row * frames + frame] = Math.min(1, 0.04 + envelope * (0.5 + 0.25 * harmonic));
    }
  }
  return { utteranceId: `sample-labelled/s-${index}/0.wav`, original, reconstruction, shape };
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const char of text) value = Math.imul(value ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return value >>> 0;
}

/** Box and Muller. */
const normal = (random: () => number): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const quotedUa = (value: number, where: string, task: Task = 'emotion'): ExperimentRow['quoted'] => [{ task, measure: 'ua', value, where }];

/** A made-up Table III on the samples: three rows of auxiliary tasks, four folds, three seeds. */
export const madeTable = (options: Partial<MadeOptions> = {}): ExperimentResults =>
  madeResults({
    layout: 'table',
    title: 'Table III on the sample corpora: auxiliary tasks for categorical emotion',
    paperReference: 'Table III (IEMOCAP)',
    rows: [
      { id: 'majority', label: 'Majority class', system: 'majority', skill: 0 },
      { id: 'functionals', label: 'Functionals + logistic regression', system: 'functionals', skill: 1.1 },
      {
        id: 'gender',
        label: 'AAE, gender beside',
        auxiliary: ['gender'],
        skill: 1.35,
        quoted: [{ task: 'emotion', measure: 'wa', value: 68.01, where: 'Table III' }, ...quotedUa(66.83, 'Table III')],
      },
      {
        id: 'speaker',
        label: 'AAE, speaker beside',
        auxiliary: ['speaker'],
        skill: 1.4,
        quoted: [{ task: 'emotion', measure: 'wa', value: 68.92, where: 'Table III' }, ...quotedUa(67.71, 'Table III')],
      },
      {
        id: 'both',
        label: 'AAE, both beside',
        auxiliary: ['gender', 'speaker'],
        skill: 1.65,
        quoted: [{ task: 'emotion', measure: 'wa', value: 70.32, where: 'Table III' }, ...quotedUa(68.54, 'Table III')],
      },
      { id: 'quoted-83', label: 'CNN [83]', system: 'cnn', skill: 0, isQuotedOnly: true, quoted: quotedUa(64.22, 'Table II') },
    ],
    folds: 4,
    seeds: [1, 2, 3],
    speakersPerFold: 5,
    ...options,
  });

/** A made-up Fig. 2: four systems, five targets. */
export const madeBars = (options: Partial<MadeOptions> = {}): ExperimentResults =>
  madeResults({
    layout: 'bars',
    title: 'Figure 2 on the sample corpora: multi-task against single-task learning',
    paperReference: 'Fig. 2 (IEMOCAP)',
    rows: (['emotion', 'activation', 'valence', 'clusters-3', 'clusters-5'] as const).flatMap((target, index) => [
      { id: `cnn-${target}`, label: 'CNN, single task', system: 'cnn', target, skill: 1 - 0.1 * index },
      { id: `ae-${target}`, label: 'AE, single task', system: 'ae', target, skill: 1.1 - 0.1 * index },
      { id: `aae-${target}`, label: 'AAE, single task', system: 'aae', target, skill: 1.3 - 0.1 * index },
      {
        id: `mtl-${target}`,
        label: 'AAE, multi-task',
        system: 'aae',
        target,
        auxiliary: ['gender', 'speaker'],
        skill: 1.6 - 0.1 * index,
        quoted: target === 'emotion' ? quotedUa(68.54, 'Table III') : [],
      },
    ]),
    folds: 5,
    seeds: [1, 2],
    speakersPerFold: 2,
    ...options,
  });

/** A made-up Fig. 3: emotion, gender and speaker by the number of auxiliary speakers. */
export const madeLines = (options: Partial<MadeOptions> = {}): ExperimentResults =>
  madeResults({
    layout: 'lines',
    title: 'Figure 3 on the sample corpora: more auxiliary speakers',
    paperReference: 'Fig. 3 (IEMOCAP)',
    rows: [
      { id: 'mtl', label: 'AAE, multi-task', auxiliary: ['gender', 'speaker'], skill: 1.7 },
      { id: 'stl', label: 'AAE, single task', skill: 1.2 },
    ],
    points: [100, 200, 400, 600, 800, 1000],
    folds: 4,
    seeds: [1, 2],
    speakersPerFold: 3,
    ...options,
  });
