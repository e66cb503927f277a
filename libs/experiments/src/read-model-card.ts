/** Reads the facts of a model card from the model store: the checkpoint, the run's lineage, its predictions and the champions. */
import type { ModelEvaluated } from '#contracts/evaluations.js';
import { calibrationOf, type Calibration } from '#evaluation/calibration.js';
import { readPredictions } from '#evaluation/predictions-file.js';
import type { Objects } from '#storage/object-store.js';
import { type Champion, championOf, listChampions } from '#evaluation/champions.js';
import { type Checkpoint, targetOf } from '#rounds/checkpoint-store.js';
import { evaluatePredictions } from '#evaluation/evaluate-predictions.js';
import { type Lineage, lineageOf } from '#rounds/lineage.js';
import { Seen } from '#rounds/seen.js';

export interface ModelCardFacts {
  checkpoint: Checkpoint;
  lineage: Pick<Lineage, 'byCorpus' | 'parents'>;
  /** Number of training speakers that are known by name. */
  speakersHeard: number;
  /** The model's latest promotion to champion; null if it was never promoted. */
  champion: { number: number; since: string; why: string; by: Champion['by']; isStill: boolean } | null;
  /** Sorted by task, then split. */
  scores: { evaluation: ModelEvaluated; calibration: Calibration | null }[];
  /** The training corpora with synthetic voices. */
  syntheticCorpora: string[];
}

/** @throws PipelineError CHECKPOINT_INVALID, OBJECT_GONE, OBJECT_CHECKSUM_MISMATCH if an object that the checkpoint names is missing or damaged */
export async function readModelCard(
  store: Objects,
  checkpoint: Checkpoint,
  { syntheticCorpora }: { syntheticCorpora: readonly string[] },
): Promise<ModelCardFacts> {
  const lineage = await lineageOf(store, checkpoint);
  const seen = await Seen.read(store, checkpoint.seen.parts);
  const scores: ModelCardFacts['scores'] = [];
  for (const fact of checkpoint.predictions) {
    const rows = readPredictions((await store.get(fact.objectKey)).bytes);
    for (const evaluation of await evaluatePredictions(fact, store)) {
      scores.push({ evaluation, calibration: calibrationOf(rows.filter(({ split }) => split === evaluation.split)) });
    }
  }
  return {
    checkpoint,
    lineage,
    speakersHeard: seen.speakerIds.size,
    champion: crownOf(await listChampions(store), checkpoint),
    scores,
    syntheticCorpora: syntheticCorpora.filter((corpus) => corpus in lineage.byCorpus),
  };
}

function crownOf(champions: readonly Champion[], checkpoint: Checkpoint): ModelCardFacts['champion'] {
  const { runId, step, weights } = checkpoint;
  const own = champions.findLast(({ model }) => model.runId === runId && model.step === step && model.sha256 === weights.sha256);
  if (!own) return null;
  const { number, since, why, by } = own;
  return { number, since, why, by, isStill: championOf(champions, targetOf(checkpoint))?.number === number };
}
