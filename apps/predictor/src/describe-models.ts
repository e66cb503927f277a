/** Builds the answers of `GET /models`, `GET /champion` and `GET /utterances/{id}`. */
import { emotionTargets } from '#contracts/labels.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { championOf, listChampions } from '#evaluation/champions.js';
import type { TrainingIndex } from '#index/training-index.js';
import { finishedModels, targetOf } from '#rounds/checkpoint-store.js';
import { modelName, type ServedModel } from '#serving/served-model.js';
import type { Objects } from '#storage/object-store.js';
import type { ChampionAnswer, ModelsAnswer, UtteranceAnswer } from './predictor-answers.js';
import type { ScoreBacklog } from './score-backlog.js';
import { ShardTiles } from './shard-tiles.js';

export async function describeModels(store: Objects, served: ServedModel | null): Promise<ModelsAnswer> {
  const [champions, models] = await Promise.all([listChampions(store), finishedModels(store, () => undefined)]);
  return {
    models: models.reverse().map((checkpoint) => ({
      runId: checkpoint.runId,
      step: checkpoint.step,
      round: checkpoint.round,
      target: targetOf(checkpoint),
      savedAt: checkpoint.savedAt,
      settingsHash: checkpoint.settingsHash,
      champions: champions.filter(({ model }) => modelName(model) === modelName(checkpoint)).map(({ number }) => number),
      isServed: served?.name === modelName(checkpoint),
    })),
  };
}

export async function describeChampion(store: Objects, served: ServedModel | null): Promise<ChampionAnswer> {
  const all = await listChampions(store);
  const champions = emotionTargets.flatMap((target) => {
    const champion = championOf(all, target);
    if (!champion) return [];
    const { number, model, since, why } = champion;
    return [{ target, number, runId: model.runId, step: model.step, since, why }];
  });
  return { served: served?.identity ?? null, champions };
}

export interface KnownUtterances {
  index: TrainingIndex;
  backlog: ScoreBacklog;
  store: Pick<Objects, 'find'>;
}

/** @throws PipelineError UTTERANCE_UNKNOWN, STORAGE_UNAVAILABLE */
export async function describeUtterance(
  utteranceId: string,
  { index, backlog, store }: KnownUtterances,
  served: ServedModel | null,
): Promise<UtteranceAnswer> {
  const live = index.liveTiles(utteranceId, (hash) => served?.accepts(hash) ?? true);
  if (!live) throw new PipelineError('UTTERANCE_UNKNOWN', `There is no live utterance ${JSON.stringify(utteranceId)}.`);
  const { version, ingestedAtSec, tiles, settingsHash } = live;
  // A store of its own: the stream keeps the shard that it works on.
  const [made] = (served && tiles && (await new ShardTiles(store).read([tiles]))) || [];
  const [score] = made && served ? await served.score([made]) : [];
  return {
    utteranceId,
    version,
    ingestedAt: ingestedAtSec > 0 ? new Date(ingestedAtSec * 1000).toISOString() : null,
    labels: tiles?.labels ?? {},
    split: tiles?.split ?? null,
    state: backlog.stateOf(utteranceId) ?? 'without-model',
    tiles: tiles && settingsHash !== null ? { count: tiles.tileCount, settingsHash } : null,
    published: backlog.scoreOf(utteranceId),
    score: score && made && served ? { model: served.identity, settingsHash: made.settingsHash, ...score } : null,
  };
}
