/**
 * Compares a model's predictions on an emotion head with the champion's. The better model becomes the champion.
 *
 * Delivery: each model is decided about once. A promotion is the object `champions/<n>.json`, a rejection is an object under
 * `state/rejections/`. Each is written only if it does not exist, and before it is announced. Repeated predictions find the
 * object, and announce it only if nobody has. If two evaluators decide at once, one writes the next champion. The other reads
 * again, and finds the model promoted or its own comparison stale. Every start announces the champions again. After an
 * announcement the objects are read again, so that the last announced champion is the newest.
 */
import { emotionTargets, type EmotionTarget } from '#contracts/labels.js';
import { rejectionKey } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { PredictionsWritten } from '#contracts/predictions.js';
import { modelRejectedSchema, type ModelPromoted, type ModelRejected, type PromotionFact } from '#contracts/promotions.js';
import { readPredictions, type PredictionRow } from '#evaluation/predictions-file.js';
import { sha256Hex, type Objects } from '#storage/object-store.js';
import { announceChampion, championOf, crown, listChampions, promotedFact, type Champion } from '#evaluation/champions.js';
import { findCheckpoint, manifestKey } from '#rounds/checkpoint-store.js';
import { decidePromotion, type PromotionDecision, type PromotionSettings } from '../../../libs/evaluation/src/decide-promotion.js';

export interface PromoterOptions {
  store: Objects;
  settings: PromotionSettings;
  publish: (fact: PromotionFact) => Promise<void>;
  /** @returns the last record of the topic about a target, as far as the topic was read */
  announced: (target: EmotionTarget) => { champion: ModelPromoted | null; rejected: ModelRejected | null };
  /** Called for each new decision. */
  onDecision: (fact: PromotionFact) => void;
}

export class Promoter {
  constructor(private readonly options: PromoterOptions) {}

  /** Announces the champions of the bucket again where the topic names others, as after a forged announcement. */
  async correctAnnouncements(): Promise<void> {
    for (const target of emotionTargets)
      await announceChampion(this.options.store, target, this.options.publish, this.options.announced(target).champion?.number);
  }

  /** Announces the champion of each target, because a process may have ended between writing the object and announcing it. */
  async announceChampions(): Promise<void> {
    for (const target of emotionTargets) await announceChampion(this.options.store, target, this.options.publish);
  }

  /** Decides once about a model. @throws PipelineError OBJECT_GONE, OBJECT_CHECKSUM_MISMATCH, RECORD_INVALID, STORAGE_UNAVAILABLE */
  async consider(fact: PredictionsWritten): Promise<void> {
    const target = emotionTargets.find((each) => each === fact.task);
    if (!target) return;
    const { store, settings } = this.options;
    for (;;) {
      const champions = await listChampions(store);
      if (champions.some((each) => each.target === target && isOf(each, fact))) {
        return announceChampion(store, target, this.options.publish, this.options.announced(target).champion?.number);
      }
      const before = await this.findRejection(target, fact);
      if (before) return this.announceRejection(before);
      const current = championOf(champions, target);
      const decision = decidePromotion(
        {
          classes: fact.classes,
          pickedBy: fact.pickedBy,
          challenger: await this.rowsOf(fact),
          comparedWith: fact.champion ? { number: fact.champion.number, rows: await this.championRows(fact, current) } : null,
          current: current?.number ?? null,
        },
        settings,
      );
      const done = decision.promote ? await this.promote(fact, target, decision) : await this.reject(fact, { target, current, decision });
      if (done) return;
      // Another evaluator was faster: read what it wrote.
    }
  }

  private async promote(
    fact: PredictionsWritten,
    target: EmotionTarget,
    { why, comparison }: Extract<PromotionDecision, { promote: true }>,
  ): Promise<boolean> {
    const { store } = this.options;
    const { runId, step } = fact;
    const checkpoint = await findCheckpoint(store, runId, step);
    if (!checkpoint)
      throw new PipelineError(
        'OBJECT_GONE',
        `${manifestKey(runId, step)} is missing, so its model cannot be promoted. Retention may have deleted it; the next model is compared as usual.`,
      );
    const model = { runId, step, manifestKey: manifestKey(runId, step), sha256: checkpoint.weights.sha256 };
    const draft = { target, model, why, comparison, by: 'evaluator' as const };
    const champion = await crown(store, draft, { after: fact.champion?.number ?? null });
    if (!champion) return false;
    this.options.onDecision(promotedFact(champion, []));
    await announceChampion(store, target, this.options.publish);
    return true;
  }

  private async reject(
    { runId, step }: PredictionsWritten,
    given: { target: EmotionTarget; current: Champion | null; decision: Extract<PromotionDecision, { promote: false }> },
  ): Promise<boolean> {
    const { target, current, decision } = given;
    const { confidence, maxRecallFallPoints } = this.options.settings;
    const fact: ModelRejected = {
      type: 'ModelRejected',
      target,
      challenger: { runId, step },
      champion: current && { number: current.number, runId: current.model.runId, step: current.model.step },
      reason: decision.reason,
      comparison: decision.comparison,
      devSpeakers: decision.devSpeakers,
      confidence,
      maxRecallFallPoints,
      why: decision.why,
      at: new Date().toISOString(),
    };
    const key = rejectionKey({ target, runId, step });
    const written = await this.options.store.put(key, JSON.stringify(fact), { onlyIf: 'absent', contentType: 'application/json' });
    if (written === null) return false;
    this.options.onDecision(fact);
    await this.options.publish(fact);
    return true;
  }

  /** Keeps an earlier rejection from replacing a later one of the same target. */
  private async announceRejection(fact: ModelRejected): Promise<void> {
    const latest = this.options.announced(fact.target).rejected;
    if (!latest || latest.at < fact.at) await this.options.publish(fact);
  }

  private async findRejection(target: EmotionTarget, { runId, step }: PredictionsWritten): Promise<ModelRejected | null> {
    const key = rejectionKey({ target, runId, step });
    const json = await this.options.store.findJson(key);
    if (json === null) return null;
    const parsed = modelRejectedSchema.safeParse(json);
    if (!parsed.success)
      throw new PipelineError(
        'RECORD_INVALID',
        `${key} is not a valid rejection (${parsed.error.issues[0]?.message}). Delete the object; the model is then decided about again.`,
      );
    return parsed.data;
  }

  private async championRows(fact: PredictionsWritten, current: Champion | null): Promise<PredictionRow[]> {
    const { champion } = fact;
    if (!champion || champion.number !== current?.number) return []; // stale: the comparison is not used
    if (!isOf(current, champion))
      throw new PipelineError(
        'RECORD_INVALID',
        `Champion ${champion.number} is ${current.model.runId}/${current.model.step}, and the predictions were compared with another model`,
      );
    return this.rowsOf(champion);
  }

  private async rowsOf({ objectKey, sha256 }: { objectKey: string; sha256: string }): Promise<PredictionRow[]> {
    const { bytes } = await this.options.store.get(objectKey);
    if (sha256Hex(bytes) === sha256) return readPredictions(bytes);
    throw new PipelineError('OBJECT_CHECKSUM_MISMATCH', `${objectKey} differs from the announced file`, { context: { key: objectKey } });
  }
}

const isOf = ({ model }: Champion, { runId, step }: { runId: string; step: number }): boolean =>
  model.runId === runId && model.step === step;
