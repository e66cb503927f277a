/** Made-up facts in the form that the stages publish, for the tests of the dashboard. They are the same in every run. */
import type { DeadLetter } from '#contracts/dead-letters.js';
import type { ModelEvaluated } from '#contracts/evaluations.js';
import type { Split, Stream } from '#contracts/labels.js';
import type { ShardSealed } from '#contracts/shards.js';
import type { ModelPromoted, ModelRejected } from '#contracts/promotions.js';
import type { RoundFinished, RoundStarted, StepTrained } from '#contracts/training.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import type { PipelineOverview } from '#overview/pipeline-overview.js';

const runId = 'run-1';
const viewDigest = 'd'.repeat(16);
const startedAt = Date.now();
const at = (sec: number): string => new Date(startedAt + sec * 1_000).toISOString();

export function utterance(utteranceId: string, corpus: string, split: Split = 'train'): UtteranceIngested {
  return {
    utteranceId,
    version: 'v1',
    corpus,
    objectKey: `corpora/${utteranceId}.wav`,
    etag: 'e',
    sizeBytes: 64_000,
    labels: {},
    split,
    withheld: false,
    silence: 'ends',
    ingestedAt: at(0),
  };
}

export function shard(shardId: string, stream: Stream, utteranceIds: string[]): ShardSealed {
  return {
    shardId: shardId.padEnd(64, '0'),
    stream,
    objectKey: `shards/${shardId}.arrow`,
    sizeBytes: 1_000,
    settingsHash: 'a'.repeat(16),
    tileCount: utteranceIds.length * 3,
    utterances: utteranceIds.map((utteranceId, index) => ({
      utteranceId,
      version: 'v1',
      firstRow: index * 3,
      tileCount: 3,
      audioSec: 4.4,
      cutSec: 0.6,
      ...(index === 0 && { leftOut: { 'little speech': 2 } }),
    })),
    sealedAt: at(1),
  };
}

export function deadLetter(objectKey: string, code: DeadLetter['code'], sec: number, message: string, utteranceId?: string): DeadLetter {
  const origin = { topic: 'undertone.utterances.v1', partition: 0, offset: String(sec), keyBase64: null, valueBase64: null };
  const version = utteranceId === undefined ? undefined : 'v1';
  return {
    stage: utteranceId === undefined ? 'ingest' : 'features',
    code,
    message,
    origin,
    objectKey,
    utteranceId,
    version,
    failedAt: at(sec),
  };
}

function roundStarted(round: number, step: number, steps: number): RoundStarted {
  return {
    type: 'RoundStarted',
    runId,
    round,
    step,
    steps,
    at: at(step),
    viewDigest,
    tiles: { labelled: 1_500, unlabelled: 5_460 },
    speakers: 24,
  };
}

/** Losses that fall realistically; every third step has no gender loss. */
export function stepTrained(round: number, step: number): StepTrained {
  const wobble = (salt: number): number => 1 + 0.08 * Math.sin(step * salt) + 0.05 * Math.cos(step * salt * 2.7);
  const falling = (from: number, to: number, rate: number, salt: number): number =>
    (to + (from - to) * Math.exp(-step / rate)) * wobble(salt);
  return {
    type: 'StepTrained',
    runId,
    round,
    step,
    at: at(step),
    stepMs: 412.4,
    losses: {
      reconstruction: falling(0.42, 0.031, 90, 0.31),
      discriminator: falling(1.1, 0.66, 150, 0.53),
      generator: falling(0.35, 0.72, 150, 0.41),
      discriminatorAccuracy: Math.min(1, falling(0.97, 0.55, 120, 0.37)),
      emotion: falling(1.39, 0.78, 300, 0.43),
      gender: step % 3 === 0 ? null : falling(0.69, 0.21, 160, 0.61),
      speaker: falling(3.18, 1.2, 260, 0.29),
    },
  };
}

export function roundFinished(round: number, step: number): RoundFinished {
  const { losses } = stepTrained(round, step);
  return { type: 'RoundFinished', runId, round, step, at: at(step), losses, tilesPerSec: 155.2, wallSec: 164.9, backend: 'tensorflow' };
}

/** An evaluation whose scores follow from its confusion matrix. */
function evaluation(
  of: Pick<ModelEvaluated, 'task' | 'split' | 'step' | 'speakers' | 'uaInterval' | 'classes' | 'confusion'>,
): ModelEvaluated {
  const totals = of.confusion.map((row) => row.reduce((sum, count) => sum + count, 0));
  const n = totals.reduce((sum, total) => sum + total, 0);
  const right = of.confusion.map((row, index) => row[index] ?? 0);
  const recall = right.map((count, index) => (totals[index] ? count / (totals[index] ?? 1) : null));
  const known = recall.filter((each) => each !== null);
  return {
    ...of,
    runId,
    n,
    wa: right.reduce((sum, count) => sum + count, 0) / n,
    ua: known.reduce((sum, each) => sum + each, 0) / known.length,
    recall: Object.fromEntries(of.classes.map((name, index) => [name, recall[index] ?? null])),
    ...(of.task !== 'gender' && {
      byGender: {
        female: { n: 10, speakers: 4, ua: 0.7, uaInterval: null },
        male: { n: 10, speakers: 5, ua: 0.5, uaInterval: [0.4, 0.6] as [number, number] },
      },
    }),
    ...(of.task !== 'speaker' && { spread: { speakers: 9, median: 0.6, worst: 0.25, worstSpeaker: 'acted/s3' } }),
    viewDigest,
    evaluatedAt: at(of.step + 1),
  };
}

const emotions = ['angry', 'happy', 'neutral', 'sad'];
const emotionMatrix = (right: number): number[][] => [
  [right, 31, 14, 3],
  [28, right - 24, 41, 9],
  [9, 34, right + 19, 22],
  [2, 8, 39, right - 6],
];

export function promoted(step: number, number = 1): ModelPromoted {
  return {
    type: 'ModelPromoted',
    target: 'emotion',
    challenger: { runId, step },
    comparison: null,
    number,
    champion: null,
    by: 'evaluator',
    why: 'UA 66.2 % against 58.0 % of champion 1 on 9 dev speakers, better with probability 0.981; sad fell most, by 4.1 points.',
    at: at(step + 2),
  };
}

export function rejected(step: number): ModelRejected {
  return {
    type: 'ModelRejected',
    target: 'emotion',
    challenger: { runId, step },
    comparison: null,
    champion: { number: 2, runId, step: 300 },
    reason: 'recall-fell',
    devSpeakers: 9,
    confidence: 0.95,
    maxRecallFallPoints: 10,
    why: 'UA 68.3 % against 66.2 % of champion 2 on 9 dev speakers, better with probability 0.962, but recall of happy fell by 14.3 points; at most 10 are allowed.',
    at: at(step + 2),
  };
}

/** A pipeline in the middle of its second round: 240 utterances, five of which could not be decoded. */
export function applyBusyPipeline(overview: PipelineOverview): void {
  const labelled = Array.from({ length: 60 }, (_, index) => `iemocap/s${index}`);
  const unlabelled = Array.from({ length: 175 }, (_, index) => `librispeech/u${index}`);
  const broken = Array.from({ length: 5 }, (_, index) => `crema-d/broken ${index}`);
  labelled.forEach((id, index) => overview.applyUtterance(id, utterance(id, 'iemocap', index % 6 === 0 ? 'test' : 'train')));
  unlabelled.forEach((id, index) => overview.applyUtterance(id, utterance(id, 'librispeech', index % 9 === 0 ? 'dev' : 'train')));
  for (const id of broken) overview.applyUtterance(id, utterance(id, 'crema-d'));
  overview.applyShard('a', shard('a', 'labelled', labelled));
  overview.applyShard('b', shard('b', 'unlabelled', unlabelled));
  broken.forEach((id, index) => {
    const empty = index % 2 === 0;
    const message = empty ? 'no sample is left after silence was cut' : 'the decoder stopped at byte 4,096: invalid sync code';
    overview.applyDeadLetter(deadLetter(`corpora/${id}.wav`, empty ? 'AUDIO_EMPTY' : 'AUDIO_UNDECODABLE', 20 + index, message, id));
  });

  overview.applyTraining(roundStarted(1, 0, 400));
  for (let step = 5; step <= 400; step += 5) overview.applyTraining(stepTrained(1, step));
  overview.applyTraining(roundFinished(1, 400));
  overview.applyTraining(roundStarted(2, 400, 400));
  for (let step = 405; step <= 540; step += 5) overview.applyTraining(stepTrained(2, step));
  overview.applyCheckpoint({
    runId,
    round: 1,
    step: 400,
    manifestKey: 'checkpoints/run-1/400.json',
    sha256: 'b'.repeat(64),
    viewDigest,
    viewUtterances: 235,
    viewTiles: { labelled: 180, unlabelled: 525 },
    predictedTasks: ['emotion', 'gender', 'speaker'],
    backend: 'tensorflow',
    configHash: 'c',
    codeVersion: '0.1.0',
    savedAt: at(401),
  });
  for (const [step, gain] of [
    [100, 0],
    [200, 38],
    [300, 62],
    [400, 74],
  ] as const) {
    applyEvaluations(overview, step, gain);
  }
  overview.applyPromotion(promoted(300, 2));
  overview.applyPromotion(rejected(400));
}

function applyEvaluations(overview: PipelineOverview, step: number, gain: number): void {
  const speakers = Array.from({ length: 24 }, (_, index) => `iemocap/${index + 1}`);
  const evaluations = [
    {
      task: 'emotion',
      split: 'test',
      speakers: 8,
      uaInterval: [0.42 + gain / 500, 0.55 + gain / 400],
      classes: emotions,
      confusion: emotionMatrix(50 + gain),
    },
    { task: 'emotion', split: 'dev', speakers: 4, uaInterval: null, classes: emotions, confusion: emotionMatrix(58 + gain) },
    {
      task: 'gender',
      split: 'test',
      speakers: 8,
      uaInterval: [0.69 + gain / 1_200, 0.84 + gain / 1_600],
      classes: ['female', 'male'],
      confusion: [
        [160 + gain, 40],
        [50, 140 + gain],
      ],
    },
    {
      task: 'speaker',
      split: 'withheld',
      speakers: 24,
      uaInterval: null,
      classes: speakers,
      confusion: speakers.map((_, row) =>
        speakers.map((_, column) => (row === column ? 2 + Math.floor(gain / 12) + (row % 3) : (row + column) % 5 === 0 ? 1 : 0)),
      ),
    },
  ] satisfies Omit<Parameters<typeof evaluation>[0], 'step'>[];
  for (const each of evaluations) overview.applyEvaluation(evaluation({ ...each, step }));
}
