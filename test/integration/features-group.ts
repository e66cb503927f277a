/** Reads the consumer group of features from the broker: its members and committed offsets. */
import { topicName } from '#contracts/topic.js';
import { utterances } from '#contracts/utterances.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { featuresGroupPrefix } from '#streaming/consumer-groups.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { silent } from '../chaos/stream-under-test.js';
import type { RunningPipeline } from './running-pipeline.js';

export class FeaturesGroup {
  readonly admin;
  private readonly topic: string;

  constructor(private readonly pipeline: RunningPipeline) {
    this.admin = kafkaClient(readKafkaConnection(pipeline.environment), 'undertone-test', silent).admin();
    this.topic = topicName(utterances, pipeline.prefix);
  }

  async connect(): Promise<this> {
    await this.admin.connect();
    return this;
  }

  async close(): Promise<void> {
    await this.admin.disconnect();
  }

  /** There is exactly one group if features ran with one set of settings. */
  async groupId(): Promise<string> {
    const { groups } = await this.admin.listGroups();
    const own = groups.filter(({ groupId }) => groupId.startsWith(featuresGroupPrefix(this.pipeline.prefix)));
    if (own.length !== 1) throw new Error(`there are ${own.length} groups of features, and the test expects one`);
    return own[0]?.groupId ?? '';
  }

  /** Number of committed records over all partitions. */
  async committed(): Promise<number> {
    const [found] = await this.admin.fetchOffsets({ groupId: await this.groupId(), topics: [this.topic] });
    return (found?.partitions ?? []).reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0);
  }

  async members(): Promise<number> {
    const { groups } = await this.admin.describeGroups([await this.groupId()]);
    return groups[0]?.members.length ?? 0;
  }

  /** Resets all commits, so that every record comes again. Allowed only while the group has no members. */
  async rewind(): Promise<void> {
    await this.admin.setOffsets({
      groupId: await this.groupId(),
      topic: this.topic,
      partitions: Array.from({ length: utterances.storage.partitions }, (_, partition) => ({ partition, offset: '0' })),
    });
  }
}
