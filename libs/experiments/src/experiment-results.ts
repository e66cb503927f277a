/**
 * The types of an experiment's results, from which its report is made. A job is one fold of one row, at one point of a sweep,
 * with one seed. Its results are a folder that is written whole or not at all.
 */
import type { Task } from '#contracts/labels.js';
import type { ModelEvaluated } from '#contracts/evaluations.js';
import type { PredictionRow } from '#evaluation/predictions-file.js';

/** A row of a table, or a line of a figure: the facts that all of its folds, seeds and points share. */
export interface ExperimentRow {
  /** Unique in the experiment, such as `aae-mtl-gender`. */
  id: string;
  /** As the report prints it. */
  label: string;
  system: string;
  /** The target of the emotion head: category, activation, valence, clusters-3 or clusters-5. */
  target: string;
  /** The auxiliary tasks of the row: gender, speaker, both or none. */
  auxiliary: Task[];
  /** The paper's numbers in percent, by task and measure. A number that the paper does not give is absent. */
  quoted: { task: Task; measure: 'ua' | 'wa'; value: number; where: string }[];
  /** True: the row has no jobs and only quotes numbers. */
  isQuotedOnly: boolean;
}

export type LossWeight = 'alpha' | 'beta';

export interface ExperimentJob {
  /** Digest of all inputs that decide the numbers. The same job has the same id on every machine. */
  jobId: string;
  rowId: string;
  /** The value of the sweep's variable, such as the number of auxiliary speakers; null without a sweep. */
  point: number | null;
  fold: number;
  seed: number;
  alpha: number;
  beta: number;
}

export interface LearningCurvePoint {
  step: number;
  /** The parts of the loss; null if a part was not computed. */
  losses: Record<string, number | null>;
  /** UA of emotion on dev speakers; null at a step without a dev check. */
  devUa: number | null;
}

/** The result of one finished job. */
export interface JobResult {
  job: ExperimentJob;
  /** Scores on the test fold (speaker task: on withheld utterances), in the form that continuous training publishes. */
  evaluations: ModelEvaluated[];
  /** The predictions behind the scores, by task. */
  predictions: { task: Task; classes: string[]; rows: PredictionRow[] }[];
  curve: LearningCurvePoint[];
  bestStep: number;
  wallSec: number;
  machine: string;
  codeVersion: string;
}

/** Latents and reconstructions of one job of the experiment, for the report's pictures. */
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
  /** From the file: name, title, the table or figure of the paper, and a note on its claims. */
  experiment: { name: string; title: string; layout: 'table' | 'bars' | 'lines'; paperReference: string | null; note: string };
  /** True for synthetic corpora: the report says so on every page. */
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
    /** All of this corpus is the test set of every fold; null if the test set is a fold of the first corpus. */
    testCorpus: string | null;
    /** The sweep's variable, as an axis title; null without a sweep. */
    sweep: string | null;
    steps: number;
    /** True if some job chose among several values on dev speakers. */
    searched: Record<LossWeight, boolean>;
  };
  rows: ExperimentRow[];
  results: JobResult[];
  /** Planned jobs without a result. If there are any, the report calls itself partial. */
  missing: ExperimentJob[];
  latents: LatentSample[];
  reconstructions: ReconstructionSample[];
  /** All settings, as YAML. */
  settings: string;
  madeAt: string;
}
