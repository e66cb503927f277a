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
import { utterances } from '#contracts/utterances.js';
import { Liveness } from '#service/liveness.js';
import type { Logger } from '#service/logger.js';
import { Metrics } from '#service/metrics.js';
import { crashProcess } from '#service/crash-process.js';
import { activeSpan } from '#service/spans.js';
import { LOGGER } from '#service/observability.module.js';
import { Readiness } from '#service/readiness.js';
import { ingestEventsGroup, ingestGroup } from '#streaming/consumer-groups.js';
import type { Subject } from '#streaming/dead-letter-office.js';
import type { FollowerLetters } from '#streaming/follower-letters.js';
import { StageRuntime } from '#stage/stage-runtime.js';
import { PartitionConsumer } from '#streaming/partition-consumer.js';
import type { StreamRecord } from '#streaming/partition-worker.js';
import { retrying } from '#streaming/retry.js';
import type { WatchedConsumer } from '#streaming/stall-watch.js';
import type { TableFollower } from '#streaming/table-follower.js';
import { isAudioPath } from '#corpora/audio-paths.js';
import { ArchiveUnpacker } from './archive-unpacker.js';
import type { IngestConfig } from './config.js';
import { CorpusCatalogue } from './corpus-catalogue.js';
import { decisions, ObjectDecider } from './decide-object.js';
import { parseBucketEvent } from './parse-bucket-event.js';
import { WarningPublisher } from './publish-warnings.js';
import { BucketReconciler } from './reconcile-bucket.js';
import { RefusedObjects } from './refused-objects.js';
import { SpeakerRegister } from './speaker-register.js';
import { UtteranceLedger } from './utterance-ledger.js';

export const INGEST_CONFIG = Symbol('ingest config');

@Injectable()
export class IngestStage implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly runtime: StageRuntime<'ingest'>;
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
    this.runtime = new StageRuntime('ingest', { config, services: { logger, metrics, readiness, liveness } });
    const { store, publisher, topicPrefix } = this.runtime;
    const refused = new RefusedObjects();
    // At once: the follower may read the letter after the next hint.
    const shared = this.runtime.consumerParts((letter) => refused.apply(letter));
    const office = shared.deadLetterOffice;
    const register = new SpeakerRegister(store, (corpus) => this.ledger.splitsOf(corpus));
    const catalogue = new CorpusCatalogue(store, logger, (corpus) => this.ledger.pathsOf(corpus), config.annotationLimits, register);
    const warnings = new WarningPublisher(store, logger);
    metrics.gaugeOf('refused_corpora', 'Corpora whose options or annotations cannot be used', () => catalogue.refusedCount);
    this.reconciler = new BucketReconciler(store, publisher, this.ledger, catalogue, warnings, refused);
    this.unpacker = new ArchiveUnpacker({
      store,
      deadLetterOffice: office,
      hintAt: (keys) =>
        publisher.publishApart(
          objectHints,
          keys.map((key) => hintAt(key, 'archive')),
        ),
      limits: config.archiveLimits,
      logger,
    });
    metrics.gaugeOf('open_archives', 'Archives that are being unpacked or waiting', () => this.unpacker.openCount);
    const noCategory = metrics.counter('no_category_total', 'Utterances whose emotion is none of their corpus’s classes, by that emotion', [
      'reason',
    ]);
    this.decider = new ObjectDecider({
      store,
      publisher,
      catalogue,
      ledger: this.ledger,
      topicPrefix,
      unpack: (archive) => this.unpacker.accept(archive),
      onNoCategory: (reason) => noCategory.inc({ reason }),
      sweepCorpus: (corpus) => this.reconciler.sweepCorpus(corpus),
      onAbsent: (key) => this.reconciler.foundAbsent(key),
      refused,
    });
    this.follower = this.runtime
      .follower('ingest-table')
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
    metrics.gaugeOf('unmatched_rows', 'Rows of manifests that match no recording, as of the last listing', () => warnings.unmatchedRows);
    metrics.gaugeOf('live_utterances', 'Live utterances that this instance knows', () => this.ledger.size);
    this.letters = this.runtime.reportSkipped(this.follower, office);
    const groups = { events: ingestEventsGroup(topicPrefix), hints: ingestGroup(topicPrefix) };
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
    this.runtime.watch([this.follower, ...this.consumers]);
  }

  onApplicationBootstrap(): void {
    this.readiness.startInBackground(() => this.start());
  }

  async onApplicationShutdown(): Promise<void> {
    await this.runtime.stop(async () => {
      this.isStopping = true;
      clearInterval(this.reconcileTimer);
      await Promise.all([...this.consumers.map((consumer) => consumer.stop()), this.unpacker.stop()]);
      await this.follower.stop();
    });
  }

  private async start(): Promise<void> {
    await this.runtime.connect();
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
    await this.runtime.publisher.publishApart(bucketEvents, [event]);
  }

  /**
   * Refuses a wrong bucket: a misspelt or emptied bucket looks as if all recordings had been deleted.
   * @throws PipelineError CONFIG_INVALID if the topics know utterances and the bucket has never been used with them
   */
  private async refuseForeignBucket(): Promise<void> {
    const { store, topicPrefix } = this.runtime;
    const key = bucketMarkerKey(topicPrefix);
    if (await retrying(() => store.head(key))) return;
    if (this.ledger.size > 0) {
      throw new PipelineError(
        'CONFIG_INVALID',
        `Bucket ${store.bucket} has never been used with topics ${topicPrefix}.*, which know ${this.ledger.size} utterances, so all would count as deleted. Correct S3_BUCKET or TOPIC_PREFIX. If the bucket was replaced on purpose, put an object ${key} into it.`,
      );
    }
    await retrying(() => store.put(key, JSON.stringify({ topicPrefix, since: new Date().toISOString() })));
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
    if (hints.length === 1) await this.runtime.publisher.publish(objectHints, ...hints);
    else await this.runtime.publisher.publishApart(objectHints, hints);
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
