/**
 * What an experiment's jobs leave behind, and all that its report is made of. A job is one fold of one system of one table
 * row, at one point of a sweep, with one seed; its results are a folder that is written whole or not at all.
 */
import type { Task } from '#contracts/labels.js';
import type { ModelEvaluated } from '#contracts/evaluations.js';
import type { PredictionRow } from '#evaluation/predictions-file.js';

/** A row of a table, or a line of a figure: what is the same for all of its folds, seeds and points. */
export interface ExperimentRow {
  /** Unique in the experiment: `aae-mtl-gender`. */
  id: string;
  /** As the report prints it. */
  label: string;
  system: string;
  /** Category, activation, valence, clusters-3, clusters-5: what the emotion head learns. */
  target: string;
  /** Of gender and speaker, those that are learnt beside. */
  auxiliary: Task[];
  /** The paper's number in percent, by task and measure; what it does not give is absent. */
  quoted: { task: Task; measure: 'ua' | 'wa'; value: number; where: string }[];
  /** Quoted only: no job was run for it. */
  isQuotedOnly: boolean;
}

export type LossWeight = 'alpha' | 'beta';

export interface ExperimentJob {
  /** Digest of all that decides the numbers, so that the same job is the same wherever it runs. */
  jobId: string;
  rowId: string;
  /** Of a sweep: its variable at this point, such as the number of auxiliary speakers; null without one. */
  point: number | null;
  fold: number;
  seed: number;
  alpha: number;
  beta: number;
}

export interface LearningCurvePoint {
  step: number;
  /** By part; null where the part was not computed. */
  losses: Record<string, number | null>;
  /** UA of emotion on dev speakers, where it was looked at. */
  devUa: number | null;
}

/** One job, done. */
export interface JobResult {
  job: ExperimentJob;
  /** Of the test fold (speaker: of withheld utterances), the same facts as continuous training publishes. */
  evaluations: ModelEvaluated[];
  /** The same before they were scored, by task. */
  predictions: { task: Task; classes: string[]; rows: PredictionRow[] }[];
  curve: LearningCurvePoint[];
  bestStep: number;
  wallSec: number;
  machine: string;
  codeVersion: string;
}

/** Of one job of the experiment, for looking at: rows of tiles and their codes. */
export interface LatentSample {
  utteranceId: string;
  speakerId: string;
  emotion: string | null;
  gender: string | null;
  /** z, flattened. */
  code: Float32Array;
}

export interface ReconstructionSample {
  utteranceId: string;
  /** Pixels in [0, 1], row-major, rows by frames. */
  original: Float32Array;
  reconstruction: Float32Array;
  shape: [rows: number, frames: number];
}

export interface ExperimentResults {
  /** Of the file: name, title, which table or figure of the paper it is, and a line on what it shows. */
  experiment: { name: string; title: string; layout: 'table' | 'bars' | 'lines'; paperReference: string | null; note: string };
  /** True for made and synthetic corpora: the report says so on every page. */
  isSynthetic: boolean;
  data: {
    corpora: { name: string; utterances: number; speakers: number; tiles: number; labelled: number }[];
    viewDigest: string;
    settingsHash: string | null;
  };
  protocol: {
    folds: number;
    /** `speakers-apart` is the safe reading; `every-speaker-in-every-fold` the other (design, Section 6). */
    stratification: 'speakers-apart' | 'every-speaker-in-every-fold' | 'sessions';
    seeds: number[];
    /** All of it is the test of every fold; null where a fold of the first corpus is. */
    testCorpus: string | null;
    /** What the sweep goes over, as an axis title; null without one. */
    sweep: string | null;
    steps: number;
    /** Whether some job chose among several on dev speakers. */
    searched: Record<LossWeight, boolean>;
  };
  rows: ExperimentRow[];
  results: JobResult[];
  /** Jobs planned but not done: the report says that it is partial. */
  missing: ExperimentJob[];
  latents: LatentSample[];
  reconstructions: ReconstructionSample[];
  /** All settings, as YAML. */
  settings: string;
  madeAt: string;
}
