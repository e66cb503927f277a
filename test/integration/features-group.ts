/** What the broker says of the consumer group of features: who is in it, and how far it has committed. */
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

  /** There is one where features has been started with one set of settings. */
  async groupId(): Promise<string> {
    const { groups } = await this.admin.listGroups();
    const own = groups.filter(({ groupId }) => groupId.startsWith(featuresGroupPrefix(this.pipeline.prefix)));
    if (own.length !== 1) throw new Error(`there are ${own.length} groups of features`);
    return own[0]?.groupId ?? '';
  }

  /** Records that need not come again, over all partitions. */
  async committed(): Promise<number> {
    const [found] = await this.admin.fetchOffsets({ groupId: await this.groupId(), topics: [this.topic] });
    return (found?.partitions ?? []).reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0);
  }

  async members(): Promise<number> {
    const { groups } = await this.admin.describeGroups([await this.groupId()]);
    return groups[0]?.members.length ?? 0;
  }

  /** As after a loss of all commits: every record comes again. Only while nobody is in the group. */
  async rewind(): Promise<void> {
    await this.admin.setOffsets({
      groupId: await this.groupId(),
      topic: this.topic,
      partitions: Array.from({ length: utterances.storage.partitions }, (_, partition) => ({ partition, offset: '0' })),
    });
  }
}
