/** The configuration of a run, the events that it reports, and the settings that make it another run. */
import { createHash } from 'node:crypto';
import type { RoundEnd } from '#contracts/training.js';
import { type ModelSettings, parseModelSettings } from '#paper/settings.js';
import type { StepLosses } from '#paper/train-step.js';
import type { Objects } from '#storage/object-store.js';
import type { Checkpoint } from './checkpoint-store.js';
import type { RateSchedule } from './learning-rate.js';
import type { TileStore } from './tile-store.js';
import type { TrainingView, ViewCounts, ViewUtterance } from '#index/training-index.js';

export interface RunSettings {
  runId: string;
  /** Model settings as given; the model fills in defaults. */
  model: Record<string, unknown>;
  batch: { labelled: number; unlabelled: number };
  roundSteps: number;
  /** Ends a round after the step at which this time has passed. A resumed round starts counting again. Null: no time limit. */
  roundMaxSec: number | null;
  /** Share of each stream's tiles that earlier rounds have learnt already. */
  replayShare: number;
  /** Checks on dev speakers, one at each checkpoint, without an improvement before the round ends; 0: no checks. */
  patience: number;
  /**
   * From this many dev speakers on, all of them pick the best checkpoint, because nothing is decided on them. An experiment sets
   * it. Default: some dev speakers pick, and the others decide (picking-speakers.ts).
   */
  fewestDevSpeakers?: number;
  rate: RateSchedule;
  /** Factor on the learning rate after a divergence. Default: the rate stays. */
  divergedRateFactor?: number;
  /** Steps between two reports, and between two checkpoints. */
  reportEvery: number;
  checkpointEvery: number;
  /** Number of tiles on which batch-norm statistics are measured before predictions. */
  statisticsTiles: number;
  seed: number;
  codeVersion: string;
}

export interface RunEvents {
  roundStarted: (facts: {
    round: number;
    step: number;
    steps: number;
    view: TrainingView;
    tiles: ViewCounts;
    /** The tiles that no earlier round has learnt. */
    freshTiles: ViewCounts;
    /** True for an utterance of the view that this round is the first to learn. */
    isFirstLearnt: (utterance: ViewUtterance) => boolean;
    speakers: number;
    /** Number of utterances of dev speakers that decide when the round ends early; 0 if it is not checked. */
    checkedOn: number;
  }) => void;
  /** `stepMs` and `waitMs` are means over the steps since the last report; `tiles` is their sum. */
  stepTrained: (facts: { round: number; step: number; losses: StepLosses; stepMs: number; waitMs: number; tiles: number }) => void;
  /** Emotion UA on dev speakers in the middle of a round. */
  checked: (facts: { round: number; step: number; ua: number; bestStep: number; bestUa: number }) => void;
  /** Number of utterances of the view that are no longer drawn. */
  erased: (facts: { step: number; utterances: number }) => void;
  /** Shards in the view that the store no longer has. */
  shardsGone: (shardIds: string[]) => void;
  saved: (checkpoint: Checkpoint) => void;
  /** A checkpoint cannot be used; the run tries the one before it. */
  checkpointRefused: (why: string) => void;
  /** The model diverged. The run went back to this step (0 for its beginning) and uses this factor on the settings' rate. */
  wentBack: (facts: { step: number; rateScale: number }) => void;
  roundFinished: (facts: { round: number; step: number; losses: StepLosses; bestStep: number; ended: RoundEnd } & RoundSpeed) => void;
}

/** Settings and services that the parts of a run share. */
export interface RunContext {
  settings: RunSettings;
  store: Objects;
  tileStore: TileStore;
  /** Epoch of the lease under which it runs. */
  epoch: number;
  events: RunEvents;
}

/** For callers that need only a few of the events. */
export const noEvents: RunEvents = {
  roundStarted: () => undefined,
  stepTrained: () => undefined,
  checked: () => undefined,
  erased: () => undefined,
  shardsGone: () => undefined,
  saved: () => undefined,
  checkpointRefused: () => undefined,
  wentBack: () => undefined,
  roundFinished: () => undefined,
};

export interface RoundSpeed {
  tilesPerSec: number;
  wallSec: number;
  /** Share of the time of the steps that was spent waiting for tiles. */
  waitShare: number;
}

/** A plain run: all its steps, all tiles alike, the last model. */
export const plainRounds = { roundMaxSec: null, replayShare: 0, patience: 0, rate: { schedule: 'constant', warmupSteps: 0 } } as const;

/** The model's settings with the defaults from the run: its seed, and the shape of the tiles once that is known. */
export function modelSettingsOf({ model, seed }: Pick<RunSettings, 'model' | 'seed'>, tile?: [number, number]): ModelSettings {
  return parseModelSettings({ seed, ...(tile && { tile }), ...model });
}

/** Digest of the settings that make another run; such a run gets another name. */
export function configHashOf(settings: Pick<RunSettings, 'model' | 'batch' | 'seed'>): string {
  const { model, batch, seed } = settings;
  return createHash('sha256')
    .update(JSON.stringify([modelSettingsOf({ model, seed }), batch, seed]))
    .digest('hex')
    .slice(0, 12);
}

/** The run's configuration without the model's settings, for its lineage. */
export function configOf({ model: _, runId: __, codeVersion: ___, ...config }: RunSettings): Record<string, unknown> {
  return { ...config };
}
