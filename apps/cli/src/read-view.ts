/** Reads once which tiles of the running stack are live. */
import { deadLetters } from '#contracts/dead-letters.js';
import { featureSettingsChosen } from '#contracts/feature-settings.js';
import { shardsLabelled, shardsUnlabelled } from '#contracts/shards.js';
import { utterances } from '#contracts/utterances.js';
import { TableFollower } from '#streaming/table-follower.js';
import { TrainingIndex, type TrainingView } from '#index/training-index.js';
import { type Connections, quietLogger, refuseMissingTopics } from './connect.js';

/** @returns the view that a trainer's round would take @throws PipelineError CONFIG_INVALID if there are no topics yet */
export async function readView(connections: Connections): Promise<TrainingView> {
  await refuseMissingTopics(connections);
  const index = new TrainingIndex();
  const follower = new TableFollower(connections.kafka, connections.topicPrefix, 'view', quietLogger)
    .on(utterances, (id, fact) => index.applyUtterance(id, fact))
    .on(deadLetters, (_key, fact) => fact && index.applyDeadLetter(fact))
    .on(featureSettingsChosen, (_key, fact) => index.applySettings(fact))
    .on(shardsLabelled, (id, fact) => index.applyShard(id, fact))
    .on(shardsUnlabelled, (id, fact) => index.applyShard(id, fact));
  await follower.start();
  await follower.stop();
  return index.view();
}
