/**
 * The Kafka edge of ingest: it turns bucket events into hints, and hints into decisions.
 *
 * Delivery: both consumers are at least once. A hint or a record sent twice changes nothing (decide-object.ts). An event with an
 * unusable part gets one dead letter, and its other parts become hints.
 */
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { bucketEvents } from '#contracts/bucket-events.js';
import { deadLetters } from '#contracts/dead-letters.js';
import { hintAt, objectHints, type ObjectHint } from '#contracts/object-hints.js';
import { bucketMarkerKey, isUsableKey, parseCorpusKey, refuseBadKey, utteranceIdOf } from '#contracts/object-keys.js';
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
import { ObjectStore } from '#storage/object-store.js';
import { storeMetrics } from '#storage/store-metrics.js';
import { letterMetrics, passedOverMetrics, retryMetrics } from '#streaming/consumer-metrics.js';
import { ingestEventsGroup, ingestGroup } from '#streaming/consumer-groups.js';
import { DeadLetterOffice, type Subject } from '#streaming/dead-letter-office.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { FollowerLetters } from '#streaming/follower-letters.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { PartitionConsumer } from '#streaming/partition-consumer.js';
import type { StreamRecord } from '#streaming/partition-worker.js';
import { Publisher } from '#streaming/publisher.js';
import { retrying } from '#streaming/retry.js';
import { StallWatch, type WatchedConsumer } from '#streaming/stall-watch.js';
import { TableFollower } from '#streaming/table-follower.js';
import { isAudioPath } from '#corpora/audio-paths.js';
import { ArchiveUnpacker } from './archive-unpacker.js';
import type { IngestConfig } from './config.js';
import { CorpusCatalogue } from './corpus-catalogue.js';
import { decisions, ObjectDecider } from './decide-object.js';
import { parseBucketEvent } from './parse-bucket-event.js';
import { WarningPublisher } from './publish-warnings.js';
import { BucketReconciler } from './reconcile-bucket.js';
import { RefusedObjects } from './refused-objects.js';
import { UtteranceLedger } from './utterance-ledger.js';

export const INGEST_CONFIG = Symbol('ingest config');

@Injectable()
export class IngestStage implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly kafka;
  private readonly store: ObjectStore;
  private readonly publisher: Publisher<'ingest'>;
  private readonly crashes: CrashCounter;
  private readonly stallWatch: StallWatch;
  private readonly ledger = new UtteranceLedger();
  private readonly reconciler: BucketReconciler;
  private readonly decider: ObjectDecider;
  private readonly unpacker: ArchiveUnpacker;
  private readonly follower: TableFollower;
  private readonly letters: FollowerLetters;
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
    this.publisher = new Publisher<'ingest'>(this.kafka, prefix);
    this.crashes = new CrashCounter({
      store: this.store,
      topicPrefix: prefix,
      stage: 'ingest',
      folder: inHandFolder(config, 'ingest'),
      logger,
    });
    beforeCrash(() => this.crashes.close());
    const refused = new RefusedObjects();
    const countLetter = letterMetrics(metrics);
    const office = new DeadLetterOffice(this.publisher, 'ingest', (letter) => {
      countLetter(letter);
      refused.apply(letter); // at once: the follower may read it after the next hint
    });
    const catalogue = new CorpusCatalogue(this.store, logger, (corpus) => this.ledger.pathsOf(corpus), config.annotationLimits);
    const warnings = new WarningPublisher(this.store, logger);
    metrics.gaugeOf('refused_corpora', 'Corpora whose options or annotations cannot be used', () => catalogue.refusedCount);
    this.reconciler = new BucketReconciler(this.store, this.publisher, this.ledger, catalogue, warnings, refused);
    this.unpacker = new ArchiveUnpacker({
      store: this.store,
      deadLetterOffice: office,
      hintAt: (keys) =>
        this.publisher.publishApart(
          objectHints,
          keys.map((key) => hintAt(key, 'archive')),
        ),
      limits: config.archiveLimits,
      logger,
    });
    metrics.gaugeOf('open_archives', 'Archives that are being unpacked or waiting', () => this.unpacker.openCount);
    const noCategory = metrics.counter('no_category_total', 'Utterances whose emotion is none of the four, by that emotion', ['reason']);
    this.decider = new ObjectDecider({
      store: this.store,
      publisher: this.publisher,
      catalogue,
      ledger: this.ledger,
      topicPrefix: prefix,
      unpack: (archive) => this.unpacker.accept(archive),
      onNoCategory: (reason) => noCategory.inc({ reason }),
      sweepCorpus: (corpus) => this.reconciler.sweepCorpus(corpus),
      onAbsent: (key) => this.reconciler.foundAbsent(key),
      refused,
    });
    this.follower = new TableFollower(this.kafka, prefix, 'ingest-table', logger)
      .on(utterances, (id, record) => this.ledger.apply(id, record))
      .on(deadLetters, (_key, letter) => {
        if (!letter) return;
        refused.apply(letter);
        this.letters.note(letter);
      });
    this.decisions = metrics.counter('decisions_total', 'Objects decided about, by outcome', ['outcome']);
    for (const outcome of decisions) this.decisions.inc({ outcome }, 0);
    this.decisionDurations = metrics.histogram(
      'decision_duration_seconds',
      'From taking a hint to publishing its result',
      [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
    );
    retryMetrics(metrics);
    metrics.gaugeOf('unmatched_rows', 'Rows of manifests that match no recording, as of the last listing', () => warnings.unmatchedRows);
    metrics.gaugeOf('live_utterances', 'Live utterances that this instance knows', () => this.ledger.size);
    this.letters = new FollowerLetters(office, prefix);
    this.follower.onPassedOver(passedOverMetrics(metrics, this.follower.topics)).onPassedOver((passed) => this.letters.passedOver(passed));
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
    this.crashes.close(); // records interrupted from here on come again, and do not count as crashes
    this.isStopping = true;
    clearInterval(this.reconcileTimer);
    await Promise.all([...this.consumers.map((consumer) => consumer.stop()), this.unpacker.stop()]);
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
    this.letters.start();
    await this.refuseForeignBucket();
    await this.unpacker.start();
    await Promise.all(this.consumers.map((consumer) => consumer.start()));
    await this.reconcile();
    this.reconcileTimer = setInterval(() => this.reconcileUnlessBusy(), this.config.reconcileIntervalMs);
  }

  /** Publishes a notification that came over HTTP. It is then parsed like those that come over Kafka. */
  async acceptEvent(event: unknown): Promise<void> {
    await this.publisher.publishApart(bucketEvents, [event]);
  }

  /**
   * Refuses a wrong bucket: a misspelt or emptied bucket looks as if all recordings had been deleted.
   * @throws PipelineError CONFIG_INVALID if the topics know utterances and the bucket has never been used with them
   */
  private async refuseForeignBucket(): Promise<void> {
    const { topicPrefix } = this.config.kafka;
    const key = bucketMarkerKey(topicPrefix);
    if (await retrying(() => this.store.head(key))) return;
    if (this.ledger.size > 0) {
      throw new PipelineError(
        'CONFIG_INVALID',
        `Bucket ${this.store.bucket} has never been used with topics ${topicPrefix}.*, which know ${this.ledger.size} utterances, so all would count as deleted. Correct S3_BUCKET or TOPIC_PREFIX. If the bucket was replaced on purpose, put an object ${key} into it.`,
      );
    }
    await retrying(() => this.store.put(key, JSON.stringify({ topicPrefix, since: new Date().toISOString() })));
  }

  /** Starts a listing unless one is running. Listings that were due during an outage do not queue up. */
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

  /** @throws PipelineError BUCKET_EVENT_UNRECOGNISED, OBJECT_KEY_INVALID, after the other parts of the event became hints */
  private async hintFromEvent(record: StreamRecord<unknown>): Promise<void> {
    const { objects, problem } = parseBucketEvent(record.fact, record.key);
    const ours = objects.filter(({ bucket, key }) => bucket === this.config.store.bucket && parseCorpusKey(key)).map(({ key }) => key);
    const hints = ours.filter(isUsableKey).map((key) => hintAt(key, 'event'));
    // The hint continues the trace of the event, unless the event names several objects.
    if (hints.length === 1) await this.publisher.publish(objectHints, ...hints);
    else await this.publisher.publishApart(objectHints, hints);
    for (const key of ours) refuseBadKey(key);
    if (problem) throw problem;
  }

  private async decide(record: StreamRecord<ObjectHint>): Promise<void> {
    if (!record.fact) return;
    const stopClock = this.decisionDurations.startTimer();
    try {
      const outcome = await this.decider.decide(record.fact, record.origin);
      this.decisions.inc({ outcome });
      activeSpan().setAttributes({ 'undertone.hint.reason': record.fact.reason, 'undertone.decision': outcome });
      // This log line lets a person find the trace of a recording.
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
