/** What a run is configured with, what it tells of itself, and what makes it another run. */
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
  /** As given; defaults are filled in by the model. */
  model: Record<string, unknown>;
  batch: { labelled: number; unlabelled: number };
  roundSteps: number;
  /** A round ends after the step at which so long has passed; a resumed one begins to count anew. Null: by its steps alone. */
  roundMaxSec: number | null;
  /** Of each stream's tiles, the share that earlier rounds have learnt already. */
  replayShare: number;
  /** Checks on dev speakers, one a checkpoint, that a round bears without getting better; 0: it is not checked. */
  patience: number;
  /** Dev speakers below which a round is not checked; as `uaInterval` needs if not given. */
  fewestDevSpeakers?: number;
  rate: RateSchedule;
  /** After a divergence, the share of the rate with which the run goes on; the rate stays if not given. */
  divergedRateFactor?: number;
  /** A step is reported each time this many are done, and a checkpoint saved. */
  reportEvery: number;
  checkpointEvery: number;
  /** Tiles on which batch-norm statistics are measured before predictions. */
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
    /** Of these, the ones that no earlier round has learnt. */
    freshTiles: ViewCounts;
    /** Whether an utterance of the view is learnt by this round and was by none before. */
    isFirstLearnt: (utterance: ViewUtterance) => boolean;
    speakers: number;
    /** Utterances of dev speakers that decide when it is enough; 0: nobody does. */
    checkedOn: number;
  }) => void;
  /** Times are means over the steps since the last report, tiles their sum. */
  stepTrained: (facts: { round: number; step: number; losses: StepLosses; stepMs: number; waitMs: number; tiles: number }) => void;
  /** Emotion UA on dev speakers, as training goes on. */
  checked: (facts: { round: number; step: number; ua: number; bestStep: number; bestUa: number }) => void;
  /** Utterances of the round's view that are drawn no more. */
  erased: (facts: { step: number; utterances: number }) => void;
  /** Shards that the view names but the store no longer has. */
  shardsGone: (shardIds: string[]) => void;
  saved: (checkpoint: Checkpoint) => void;
  /** A checkpoint that cannot be used; the one before it is tried. */
  checkpointRefused: (why: string) => void;
  /** The model diverged: the run has gone back to this step (0: to its beginning), with this share of the settings' rate. */
  wentBack: (facts: { step: number; rateScale: number }) => void;
  roundFinished: (facts: { round: number; step: number; losses: StepLosses; bestStep: number; ended: RoundEnd } & RoundSpeed) => void;
}

/** What the parts of a run work with. */
export interface RunContext {
  settings: RunSettings;
  store: Objects;
  tileStore: TileStore;
  /** Of the lease under which it runs. */
  epoch: number;
  events: RunEvents;
}

/** For those who want to hear of a few of them only. */
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

/** A run that goes straight ahead: all its steps, everything alike, the last model. */
export const plainRounds = { roundMaxSec: null, replayShare: 0, patience: 0, rate: { schedule: 'constant', warmupSteps: 0 } } as const;

/** The model's settings with the defaults that a run gives them: its own seed, and the tiles' shape once that is known. */
export function modelSettingsOf({ model, seed }: Pick<RunSettings, 'model' | 'seed'>, tile?: [number, number]): ModelSettings {
  return parseModelSettings({ seed, ...(tile && { tile }), ...model });
}

/** Digest of what makes two runs different; a run with other settings has another name. */
export function configHashOf(settings: Pick<RunSettings, 'model' | 'batch' | 'seed'>): string {
  const { model, batch, seed } = settings;
  return createHash('sha256')
    .update(JSON.stringify([modelSettingsOf({ model, seed }), batch, seed]))
    .digest('hex')
    .slice(0, 12);
}

/** What a run was configured with beside the model, for its lineage. */
export function configOf({ model: _, runId: __, codeVersion: ___, ...config }: RunSettings): Record<string, unknown> {
  return { ...config };
}
