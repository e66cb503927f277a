/** Every topic of the pipeline, in the order in which data passes through them. */
import { bucketEvents } from './bucket-events.js';
import { checkpoints } from './checkpoints.js';
import { deadLetters } from './dead-letters.js';
import { emotions } from './emotions.js';
import { evaluations } from './evaluations.js';
import { experimentJobs } from './experiment-jobs.js';
import { featureSettingsChosen } from './feature-settings.js';
import { objectHints } from './object-hints.js';
import { predictions } from './predictions.js';
import { promotions } from './promotions.js';
import { shardsLabelled, shardsUnlabelled } from './shards.js';
import { training } from './training.js';
import { utterances } from './utterances.js';

export const topics = [
  bucketEvents,
  objectHints,
  utterances,
  featureSettingsChosen,
  shardsLabelled,
  shardsUnlabelled,
  training,
  experimentJobs,
  predictions,
  checkpoints,
  evaluations,
  promotions,
  emotions,
  deadLetters,
] as const;
