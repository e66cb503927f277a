/** Keeps an overview current: feeds it every topic from the start, then each new record. */
import { checkpoints } from '#contracts/checkpoints.js';
import { deadLetters, type DeadLetter } from '#contracts/dead-letters.js';
import { evaluations } from '#contracts/evaluations.js';
import { featureSettingsChosen } from '#contracts/feature-settings.js';
import { promotions } from '#contracts/promotions.js';
import { shardsLabelled, shardsUnlabelled } from '#contracts/shards.js';
import { training } from '#contracts/training.js';
import { utterances } from '#contracts/utterances.js';
import type { TableFollower } from '#streaming/table-follower.js';
import type { PipelineOverview } from './pipeline-overview.js';

/**
 * @param onChange called after each fact
 * @param onLetter called for each dead letter
 */
export function followInto(
  overview: PipelineOverview,
  follower: TableFollower,
  onChange: () => void = () => undefined,
  onLetter: (letter: DeadLetter) => void = () => undefined,
): TableFollower {
  return follower
    .on(utterances, (id, fact, record) => (overview.applyUtterance(id, fact, record), onChange()))
    .on(featureSettingsChosen, (_key, fact) => (overview.applySettings(fact), onChange()))
    .on(shardsLabelled, (id, fact) => (overview.applyShard(id, fact), onChange()))
    .on(shardsUnlabelled, (id, fact) => (overview.applyShard(id, fact), onChange()))
    .on(deadLetters, (_key, fact) => (fact && (overview.applyDeadLetter(fact), onLetter(fact)), onChange()))
    .on(training, (_key, fact) => (fact && overview.applyTraining(fact), onChange()))
    .on(checkpoints, (_key, fact) => (overview.applyCheckpoint(fact), onChange()))
    .on(evaluations, (_key, fact) => (overview.applyEvaluation(fact), onChange()))
    .on(promotions, (_key, fact) => (overview.applyPromotion(fact), onChange()));
}
