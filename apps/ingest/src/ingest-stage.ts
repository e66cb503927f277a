/**
 * The Kafka edge of ingest: bucket events become hints, hints become decisions.
 *
 * Delivery: both consumers are at least once; a hint or a record sent twice changes nothing (see decide-object.ts).
 */
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { bucketEvents } from '#contracts/bucket-events.js';
import { hintAt, objectHints, type ObjectHint } from '#contracts/object-hints.js';
import { bucketMarkerKey, parseCorpusKey, utteranceIdOf } from '#contracts/object-keys.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { topics } from '#contracts/topics.js';
import { utterances } from '#contracts/utterances.js';
import { Liveness } from '#service/liveness.js';
import type { Logger } from '#service/logger.js';
import { Metrics } from '#service/metrics.js';
import { beforeCrash, crashProcess } from '#service/crash-process.js';
import { inHandFolder } from '#service/in-hand-folder.js';
import { activeSpan } from '#service/spans.js';
import { LOGGER } from '#service/observability.module.js';
import { Readiness } from '#service/readiness.js';
import { CrashCounter } from '#storage/crash-counter.js';
import { type ObjectHead, ObjectStore } from '#storage/object-store.js';
import { storeMetrics } from '#storage/store-metrics.js';
import { letterMetrics, passedOverMetrics, retryMetrics } from '#streaming/consumer-metrics.js';
import { ingestEventsGroup, ingestGroup } from '#streaming/consumer-groups.js';
import { DeadLetterOffice, lettersForFollower, type Subject } from '#streaming/dead-letter-office.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { PartitionConsumer } from '#streaming/partition-consumer.js';
import type { StreamRecord } from '#streaming/partition-worker.js';
import { Publisher } from '#streaming/publisher.js';
import { retrying } from '#streaming/retry.js';
import { StallWatch, type WatchedConsumer } from '#streaming/stall-watch.js';
import { TableFollower } from '#streaming/table-follower.js';
import { isAudioPath } from '#corpora/audio-paths.js';
import type { IngestConfig } from './config.js';
import { CorpusCatalogue } from './corpus-catalogue.js';
import { decisions, ObjectDecider } from './decide-object.js';
import { parseBucketEvent } from './parse-bucket-event.js';
import { BucketReconciler, hintsAtOnce } from './reconcile-bucket.js';
import { unpackArchive } from './unpack-archive.js';
import { UtteranceLedger } from './utterance-ledger.js';

export const INGEST_CONFIG = Symbol('ingest config');

@Injectable()
export class IngestStage implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly kafka;
  private readonly store: ObjectStore;
  private readonly publisher: Publisher;
  private readonly crashes: CrashCounter;
  private readonly stallWatch: StallWatch;
  private readonly ledger = new UtteranceLedger();
  private readonly reconciler: BucketReconciler;
  private readonly decider: ObjectDecider;
  private readonly follower: TableFollower;
  private readonly consumers: (WatchedConsumer & { start(): Promise<void>; stop(): Promise<void> })[];
  private readonly decisions;
  private readonly decisionDurations;
  private reconcileTimer: NodeJS.Timeout | undefined;
  private reconciling: Promise<void> | undefined;
  private isStopping = false;

  constructor(
    @Inject(INGEST_CONFIG) private readonly config: IngestConfig,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(Metrics) metrics: Metrics,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Liveness) liveness: Liveness,
  ) {
    const prefix = config.kafka.topicPrefix;
    this.kafka = kafkaClient(config.kafka, 'undertone-ingest', logger);
    this.store = new ObjectStore(config.store, { onCall: storeMetrics(metrics) });
    this.publisher = new Publisher(this.kafka, prefix);
    this.crashes = new CrashCounter({
      store: this.store,
      topicPrefix: prefix,
      stage: 'ingest',
      folder: inHandFolder(config, 'ingest'),
      logger,
    });
    beforeCrash(() => this.crashes.close());
    const catalogue = new CorpusCatalogue(this.store, logger);
    this.reconciler = new BucketReconciler(this.store, this.publisher, this.ledger, catalogue);
    const noCategory = metrics.counter('no_category_total', 'Utterances whose emotion is none of the four, by what it is', ['reason']);
    this.decider = new ObjectDecider({
      store: this.store,
      publisher: this.publisher,
      catalogue,
      ledger: this.ledger,
      topicPrefix: prefix,
      unpack: (head, corpus) => this.unpack(head, corpus),
      onNoCategory: (reason) => noCategory.inc({ reason }),
      sweepCorpus: (corpus) => this.reconciler.sweepCorpus(corpus),
    });
    this.follower = new TableFollower(this.kafka, prefix, 'ingest-table', logger).on(utterances, (id, record) =>
      this.ledger.apply(id, record),
    );
    this.decisions = metrics.counter('decisions_total', 'Objects decided about, by outcome', ['outcome']);
    for (const outcome of decisions) this.decisions.inc({ outcome }, 0);
    this.decisionDurations = metrics.histogram(
      'decision_duration_seconds',
      'From taking a hint to having published what follows from it',
      [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
    );
    retryMetrics(metrics);
    metrics.gaugeOf('live_utterances', 'Utterances alive, as this instance knows them', () => this.ledger.size);
    const office = new DeadLetterOffice(this.publisher, 'ingest', letterMetrics(metrics));
    this.follower.onPassedOver(passedOverMetrics(metrics)).onPassedOver(lettersForFollower(office, prefix));
    const shared = {
      kafka: this.kafka,
      topicPrefix: prefix,
      deadLetterOffice: office,
      crashes: this.crashes,
      logger,
      crash: crashProcess,
    };
    const groups = { events: ingestEventsGroup(prefix), hints: ingestGroup(prefix) };
    this.consumers = [
      new PartitionConsumer({
        ...shared,
        topic: bucketEvents,
        groupId: groups.events,
        subjectOf: () => ({}),
        createWorker: ({ settle }) => ({
          take: (record) => this.hintFromEvent(record).then(() => settle(record.origin.offset)),
          abandon: () => undefined,
          drain: () => Promise.resolve(),
        }),
      }),
      new PartitionConsumer({
        ...shared,
        topic: objectHints,
        groupId: groups.hints,
        subjectOf: hintSubject,
        createWorker: ({ settle }) => ({
          take: (record) => this.decide(record).then(() => settle(record.origin.offset)),
          abandon: () => undefined,
          drain: () => Promise.resolve(),
        }),
      }),
    ];
    this.stallWatch = new StallWatch({
      kafka: this.kafka,
      consumers: [this.follower, ...this.consumers],
      metrics,
      logger,
    });
    liveness.watch('consumers', () => this.stallWatch.whyStalled());
  }

  onApplicationBootstrap(): void {
    this.readiness.startInBackground(() => this.start());
  }

  async onApplicationShutdown(): Promise<void> {
    this.readiness.stopping();
    this.crashes.close(); // what is cut off from now on comes again, and is nobody's fault
    this.isStopping = true;
    clearInterval(this.reconcileTimer);
    await Promise.all(this.consumers.map((consumer) => consumer.stop()));
    await this.follower.stop();
    await this.stallWatch.stop();
    await this.publisher.close();
    this.store.close();
  }

  private async start(): Promise<void> {
    await retrying(() => this.store.ensureBucket());
    await ensureTopics(this.kafka, topics, this.config.kafka.topicPrefix);
    this.stallWatch.start();
    await this.publisher.connect();
    await this.follower.start();
    await this.refuseForeignBucket();
    await Promise.all(this.consumers.map((consumer) => consumer.start()));
    await this.reconcile();
    this.reconcileTimer = setInterval(() => this.reconcileUnlessBusy(), this.config.reconcileIntervalMs);
  }

  /** Keeps a notification that came over HTTP; it is parsed like those that come by Kafka. */
  async acceptEvent(event: unknown): Promise<void> {
    await this.publisher.publishApart(bucketEvents, [event]);
  }

  /**
   * A bucket that was misspelt, or emptied, would look as if all recordings had been deleted.
   * @throws PipelineError CONFIG_INVALID if the topics know utterances and the bucket has never been used with them
   */
  private async refuseForeignBucket(): Promise<void> {
    const { topicPrefix } = this.config.kafka;
    const key = bucketMarkerKey(topicPrefix);
    if (await retrying(() => this.store.head(key))) return;
    if (this.ledger.size > 0) {
      throw new PipelineError(
        'CONFIG_INVALID',
        `Bucket ${this.store.bucket} has never been used with topics ${topicPrefix}.*, which know ${this.ledger.size} utterances: all would count as deleted. Set S3_BUCKET or TOPIC_PREFIX right; if the bucket was replaced on purpose, put an object ${key} into it.`,
      );
    }
    await retrying(() => this.store.put(key, JSON.stringify({ topicPrefix, since: new Date().toISOString() })));
  }

  /** In an outage one listing waits; those that were due meanwhile do not queue up behind it. */
  private reconcileUnlessBusy(): void {
    this.reconciling ??= this.reconcile()
      .catch((error: unknown) => {
        if (!this.isStopping) crashProcess(error);
      })
      .finally(() => {
        this.reconciling = undefined;
      });
  }

  private async reconcile(): Promise<void> {
    const { seen, hinted } = await retrying(() => this.reconciler.reconcile());
    this.logger.info({ seen, hinted }, 'listed the bucket');
  }

  private async hintFromEvent(record: StreamRecord<unknown>): Promise<void> {
    const ours = parseBucketEvent(record.fact, record.key).filter(
      ({ bucket, key }) => bucket === this.config.store.bucket && parseCorpusKey(key),
    );
    const hints = ours.map(({ key }) => hintAt(key, 'event'));
    // The trace of an event is that of its object, unless it names several.
    if (hints.length === 1) await this.publisher.publish(objectHints, ...hints);
    else await this.publisher.publishApart(objectHints, hints);
  }

  private async unpack(head: ObjectHead, corpus: string): Promise<boolean> {
    const keys = await unpackArchive(this.store, head, { corpus, limits: this.config.archiveLimits, logger: this.logger });
    for (let at = 0; at < (keys?.length ?? 0); at += hintsAtOnce) {
      const hints = (keys ?? []).slice(at, at + hintsAtOnce).map((key) => hintAt(key, 'archive'));
      await this.publisher.publishApart(objectHints, hints);
    }
    return keys !== null;
  }

  private async decide(record: StreamRecord<ObjectHint>): Promise<void> {
    if (!record.fact) return;
    const stopClock = this.decisionDurations.startTimer();
    try {
      const outcome = await this.decider.decide(record.fact);
      this.decisions.inc({ outcome });
      activeSpan().setAttributes({ 'undertone.hint.reason': record.fact.reason, 'undertone.decision': outcome });
      // The line by which the trace of a recording is found.
      if (outcome === 'ingested' || outcome === 'tombstoned')
        this.logger.info({ ...hintSubject(record), reason: record.fact.reason }, outcome);
    } finally {
      stopClock();
    }
  }
}

function hintSubject(record: StreamRecord<ObjectHint>): Subject {
  const objectKey = record.fact?.key;
  const place = objectKey ? parseCorpusKey(objectKey) : null;
  return { objectKey, utteranceId: place && isAudioPath(place.path) ? utteranceIdOf(place.corpus, place.path) : undefined };
}
