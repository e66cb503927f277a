/**
 * The parts that every stage has: a Kafka client, the object store, a publisher, and the order in which they start and stop. A stage
 * that takes records also gets a crash counter and a dead-letter office here, and a watch over its consumers.
 *
 * A stage creates its runtime in its constructor. It calls `connect` before it reads or writes a topic, and ends with `stop`.
 */
import type { DeadLetter, Stage } from '#contracts/dead-letters.js';
import { topicName, type TopicIdentity } from '#contracts/topic.js';
import { topics } from '#contracts/topics.js';
import type { KafkaConnection, StoreConnection } from '#service/connection-config.js';
import { beforeCrash, crashProcess } from '#service/crash-process.js';
import { inHandFolder } from '#service/in-hand-folder.js';
import type { Liveness } from '#service/liveness.js';
import type { Logger } from '#service/logger.js';
import type { Metrics } from '#service/metrics.js';
import type { Readiness } from '#service/readiness.js';
import { CrashCounter } from '#storage/crash-counter.js';
import { ObjectStore, type ObjectStoreOptions } from '#storage/object-store.js';
import { storeMetrics } from '#storage/store-metrics.js';
import { letterMetrics, passedOverMetrics, retryMetrics } from '#streaming/consumer-metrics.js';
import { DeadLetterOffice } from '#streaming/dead-letter-office.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { FollowerLetters } from '#streaming/follower-letters.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { retrying } from '#streaming/retry.js';
import { StallWatch, type WatchedConsumer } from '#streaming/stall-watch.js';
import { TableFollower } from '#streaming/table-follower.js';

/** The services of the process that Nest injects. */
export interface StageServices {
  logger: Logger;
  metrics: Metrics;
  readiness: Readiness;
  liveness: Liveness;
}

export interface StageOptions {
  config: { kafka: KafkaConnection; store: StoreConnection };
  services: StageServices;
  /** Default: the store tries a call four times. */
  storeRetry?: ObjectStoreOptions['retry'];
}

export class StageRuntime<Name extends Stage> {
  readonly kafka: ReturnType<typeof kafkaClient>;
  readonly store: ObjectStore;
  readonly publisher: Publisher<Name>;
  private crashes: CrashCounter | undefined;
  private stallWatch: StallWatch | undefined;

  constructor(
    private readonly name: Name,
    private readonly options: StageOptions,
  ) {
    const { config, services, storeRetry } = options;
    this.kafka = kafkaClient(config.kafka, `undertone-${name}`, services.logger);
    this.store = new ObjectStore(config.store, { onCall: storeMetrics(services.metrics), retry: storeRetry });
    this.publisher = new Publisher<Name>(this.kafka, config.kafka.topicPrefix);
    retryMetrics(services.metrics);
  }

  get topicPrefix(): string {
    return this.options.config.kafka.topicPrefix;
  }

  /**
   * Makes the parts that all consumers of the stage share. Call it once, in a stage that takes records.
   * @param onLetter called for each dead letter that the stage has written
   */
  consumerParts(onLetter: (letter: DeadLetter) => void = () => undefined) {
    const { config, services } = this.options;
    const crashes = new CrashCounter({
      store: this.store,
      topicPrefix: this.topicPrefix,
      stage: this.name,
      folder: inHandFolder(config, this.name),
      logger: services.logger,
    });
    this.crashes = crashes;
    beforeCrash(() => crashes.close());
    const countLetter = letterMetrics(services.metrics);
    return {
      kafka: this.kafka,
      topicPrefix: this.topicPrefix,
      deadLetterOffice: new DeadLetterOffice(this.publisher, this.name, (letter) => {
        countLetter(letter);
        onLetter(letter);
      }),
      crashes,
      logger: services.logger,
      crash: crashProcess,
    };
  }

  /** @param groupName part of the follower's consumer group */
  follower(groupName: string): TableFollower {
    return new TableFollower(this.kafka, this.topicPrefix, groupName, this.options.services.logger);
  }

  /**
   * Counts the records that a follower skips, and makes the writer of letters about them. Call it when the follower has all its
   * topics. These must include the dead letters: the stage gives each letter to `note`, and calls `start` when the follower has
   * started. So a record has one letter, however often the stage starts.
   * @param lettersOn topics about whose records it writes; default: all. One stage writes about a topic, so that a bad record has one letter.
   */
  reportSkipped(follower: TableFollower, office: DeadLetterOffice, lettersOn?: readonly TopicIdentity[]): FollowerLetters {
    const names = lettersOn?.map((topic) => topicName(topic, this.topicPrefix));
    const letters = new FollowerLetters(office, this.topicPrefix);
    follower.onPassedOver(passedOverMetrics(this.options.services.metrics, follower.topics));
    follower.onPassedOver((passed) => {
      if (!names || names.includes(passed.topic)) letters.passedOver(passed);
    });
    return letters;
  }

  /** Turns `/health/live` to 503 if one of these consumers stands still. @param longestTakeMs time limit of one record */
  watch(consumers: WatchedConsumer[], longestTakeMs?: number): StallWatch {
    const { logger, metrics, liveness } = this.options.services;
    const watch = new StallWatch({ kafka: this.kafka, consumers, metrics, logger, longestTakeMs });
    this.stallWatch = watch;
    liveness.watch('consumers', () => watch.whyStalled());
    return watch;
  }

  /** Makes the bucket and the topics if they do not exist, and connects the publisher. */
  async connect(): Promise<void> {
    await retrying(() => this.store.ensureBucket());
    await ensureTopics(this.kafka, topics, this.topicPrefix);
    this.stallWatch?.start();
    await this.publisher.connect();
  }

  /** @param endWork stops the stage's own work; it runs before the connections close */
  async stop(endWork: () => Promise<unknown>): Promise<void> {
    this.options.services.readiness.stopping();
    this.crashes?.close(); // records interrupted from here on come again, and do not count as crashes
    await endWork();
    await this.stallWatch?.stop();
    await this.publisher.close();
    this.store.close();
  }
}
