/** Reads the final state from the first record of each topic, bypassing the bad networks. */
import pino from 'pino';
import { deadLetters, type DeadLetter } from '#contracts/dead-letters.js';
import { emotions, type UtteranceScored } from '#contracts/emotions.js';
import { shardsLabelled, shardsUnlabelled, type ShardSealed } from '#contracts/shards.js';
import { topicName, type TopicIdentity } from '#contracts/topic.js';
import { objectHints } from '#contracts/object-hints.js';
import { bucketEvents } from '#contracts/bucket-events.js';
import { utterances, type UtteranceIngested } from '#contracts/utterances.js';
import { featuresGroup, ingestEventsGroup, ingestGroup } from '#streaming/consumer-groups.js';
import { groupLag } from '#streaming/group-lag.js';
import { TableFollower } from '#streaming/table-follower.js';
import { TrainingIndex } from '#index/training-index.js';
import type { TrainerStatus } from '#rounds/trainer-status.js';
import type { ChaosWorld } from './chaos-world.js';

export class SettledPipeline {
  readonly index = new TrainingIndex();
  readonly shards = new Map<string, ShardSealed>();
  readonly records = new Map<string, UtteranceIngested>();
  readonly deadLetters: DeadLetter[] = [];
  readonly scores = new Map<string, UtteranceScored>();
  private readonly follower: TableFollower;

  constructor(private readonly world: ChaosWorld) {
    const onShard = (id: string, fact: ShardSealed | null): void => {
      this.index.applyShard(id, fact);
      if (fact) this.shards.set(id, fact);
      else this.shards.delete(id);
    };
    this.follower = new TableFollower(world.kafka, world.prefix, 'chaos-oracle', pino({ level: 'silent' }))
      .on(utterances, (id, fact) => {
        this.index.applyUtterance(id, fact);
        if (fact) this.records.set(id, fact);
        else this.records.delete(id);
      })
      .on(shardsLabelled, onShard)
      .on(shardsUnlabelled, onShard)
      .on(emotions, (id, fact) => {
        if (fact) this.scores.set(id, fact);
        else this.scores.delete(id);
      })
      .on(deadLetters, (_key, letter) => {
        if (!letter) return;
        this.deadLetters.push(letter);
        this.index.applyDeadLetter(letter);
      });
  }

  async start(): Promise<this> {
    await this.follower.start();
    this.index.caughtUp();
    return this;
  }

  stop(): Promise<void> {
    return this.follower.stop();
  }

  /** Number of records that no stage has committed yet. */
  async inFlight(): Promise<Record<string, number>> {
    const { kafka, prefix } = this.world;
    const settingsHash = this.index.view().settingsHash ?? '';
    const lag = (group: string, topic: TopicIdentity): Promise<number> => groupLag(kafka, group, topicName(topic, prefix));
    return {
      'bucket events': await lag(ingestEventsGroup(prefix), bucketEvents),
      hints: await lag(ingestGroup(prefix), objectHints),
      utterances: await lag(featuresGroup(prefix, settingsHash), utterances),
    };
  }

  /** @returns null if the trainer does not answer */
  async trainer(): Promise<TrainerStatus | null> {
    try {
      const answer = await fetch(`${this.world.urlOf('trainer')}/status`, { signal: AbortSignal.timeout(2_000) });
      return answer.ok ? ((await answer.json()) as TrainerStatus) : null;
    } catch {
      return null;
    }
  }
}
