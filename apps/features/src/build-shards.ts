/**
 * The worker of one partition: it turns utterance records into sealed and announced shards.
 *
 * Delivery: a shard is put first, then announced, then its records settle. A record also settles when a later record of the same
 * utterance supersedes it. A crash in between makes the same tiles again, possibly in another shard; the trainer's index counts
 * each version of an utterance once. Records of corpora with other settings are skipped (passed-over.ts).
 */
import type { ExtractedFeatures } from '#audio/extract-features.js';
import type { FeatureSettings } from '#audio/feature-settings.js';
import { release } from '#audio/growing-samples.js';
import { BEGINNING_BYTES, requireStatedDuration } from '#audio/decode/require-stated-duration.js';
import { streamOf, streams, type Stream } from '#contracts/labels.js';
import { hintAt, objectHints } from '#contracts/object-hints.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { shardTopicOf, type ShardSealed } from '#contracts/shards.js';
import type { UtteranceIngested } from '#contracts/utterances.js';
import type { ObjectStore } from '#storage/object-store.js';
import type { PartitionWorker, StreamRecord, WorkerContext } from '#streaming/partition-worker.js';
import type { Publisher } from '#streaming/publisher.js';
import { beginSpan, inSpan, linksTo, type Span } from '#service/spans.js';
import { retrying } from '#streaming/retry.js';
import type { AudioMemory } from '#extraction/audio-memory.js';
import type { ExtractorPool } from '#extraction/extractor-pool.js';
import type { PassedOver } from './passed-over.js';
import { ShardBuilder, type SealedShard } from './shard-builder.js';

export interface ShardWorkshop {
  store: Pick<ObjectStore, 'find' | 'findRange' | 'head' | 'put'>;
  publisher: Pick<Publisher<'features'>, 'publish' | 'publishAbout'>;
  pool: Pick<ExtractorPool, 'extract'>;
  memory: Pick<AudioMemory, 'read' | 'holding' | 'storing'>;
  settings: FeatureSettings;
  sealing: { tiles: number; bytes: number; maxAgeMs: number };
  /** Larger objects are refused without reading them. */
  maxObjectBytes: number;
  extractOptions: Parameters<ExtractorPool['extract']>[2];
  onExtracted: (utterance: UtteranceIngested, features: ExtractedFeatures, seconds: number) => void;
  /** Called when the worker has ended. */
  giveBack: (passedOver: PassedOver) => void;
  /** Called for each announced shard. `seconds` counts from when it was closed, including waits for memory and retries. */
  onSealed: (shard: Pick<ShardSealed, 'shardId' | 'stream' | 'tileCount' | 'sizeBytes'> & { seconds: number }) => void;
}

/** Smaller objects are read whole at once, because that is cheaper. */
const beginningFirstBytes = 16e6;
const ageCheckMs = 250;
/** Most shards that are uploaded at once. With more, the partition waits. */
const uploadsAtOnce = 2;

export class ShardPartitionWorker implements PartitionWorker<UtteranceIngested> {
  private readonly open: Record<Stream, ShardBuilder>;
  private readonly uploads = new Set<Promise<void>>();
  private readonly timer: NodeJS.Timeout;
  private abandoned = false;
  /** True while the worker waits for uploads. They retry during an outage of the store or the broker, up to a limit. */
  isHeldUp = false;

  constructor(
    private readonly workshop: ShardWorkshop,
    private readonly context: WorkerContext,
    private readonly passedOver: PassedOver,
  ) {
    this.open = { labelled: this.newBuilder('labelled'), unlabelled: this.newBuilder('unlabelled') };
    this.timer = setInterval(() => this.sealWhatIsDue(), ageCheckMs);
  }

  async take(record: StreamRecord<UtteranceIngested>): Promise<void> {
    const { offset } = record.origin;
    this.dropOlder(record.fact?.utteranceId ?? record.key ?? '');
    if (!record.fact) return this.context.settle(offset);
    const { corpus } = record.fact;
    if (!this.passedOver.isMine(corpus)) return this.passedOver.add(corpus, offset);
    const features = await this.extract(record.fact);
    if (this.abandoned) return;
    if (!features) return this.context.settle(offset);
    this.open[streamOf(record.fact.labels)].add({ utterance: record.fact, features, offset, sealing: beginSpan('seal') });
    this.sealWhatIsDue();
    this.isHeldUp = true;
    await this.workshop.memory.holding.untilRoom();
    while (this.uploads.size >= uploadsAtOnce) await Promise.race(this.uploads);
    this.isHeldUp = false;
  }

  abandon(): void {
    this.abandoned = true;
    clearInterval(this.timer);
    for (const stream of streams) this.workshop.memory.holding.release(this.open[stream]);
    this.workshop.giveBack(this.passedOver);
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    for (const stream of streams) if (!this.open[stream].isEmpty) this.seal(stream);
    await Promise.all(this.uploads);
  }

  /** @returns null if the object is no longer the one of the record; then a hint asks ingest to decide again */
  private async extract(utterance: UtteranceIngested): Promise<ExtractedFeatures | null> {
    const { memory, maxObjectBytes } = this.workshop;
    if (utterance.sizeBytes > maxObjectBytes) {
      throw new PipelineError(
        'AUDIO_TOO_LONG',
        `The object has ${utterance.sizeBytes} bytes, which is more than MAX_OBJECT_MB allows, so it was not read. Split the recording, or raise MAX_OBJECT_MB`,
      );
    }
    await this.refuseByBeginning(utterance);
    return memory.read(utterance.sizeBytes, () => this.readAndExtract(utterance));
  }

  /** Reads the beginning of a large object first, so that a too long recording is refused without loading it. */
  private async refuseByBeginning({ objectKey, sizeBytes }: UtteranceIngested): Promise<void> {
    const { store, settings } = this.workshop;
    if (sizeBytes < beginningFirstBytes) return;
    const beginning = await store.findRange(objectKey, 0, BEGINNING_BYTES);
    if (beginning) requireStatedDuration(beginning, sizeBytes, settings.maxDurationSec);
  }

  private async readAndExtract(utterance: UtteranceIngested): Promise<ExtractedFeatures | null> {
    const { store, pool, settings, extractOptions, onExtracted } = this.workshop;
    const found = await inSpan('fetch', { attributes: { 'undertone.object.size': utterance.sizeBytes } }, () =>
      store.find(utterance.objectKey),
    );
    if (found?.etag !== utterance.etag && (await this.hasChanged(utterance))) return null;
    if (!found || found.bytes.byteLength === 0) throw new PipelineError('AUDIO_EMPTY', 'The object has no bytes');
    const startedAt = performance.now();
    const features = await pool.extract(found.bytes, settings, { ...extractOptions, silence: utterance.silence });
    onExtracted(utterance, features, (performance.now() - startedAt) / 1000);
    return features;
  }

  /** @throws PipelineError STORAGE_UNAVAILABLE if the store lists the object but cannot deliver it */
  private async hasChanged(utterance: UtteranceIngested): Promise<boolean> {
    const { store, publisher } = this.workshop;
    const head = await store.head(utterance.objectKey);
    if (head?.etag === utterance.etag) {
      throw new PipelineError('STORAGE_UNAVAILABLE', `The store lists ${utterance.objectKey} unchanged, but does not deliver it`);
    }
    // If it was deleted and is put again with the same bytes, it has the version that is let go of here.
    const hint = { ...hintAt(utterance.objectKey, 'changed-underfoot'), letGoVersion: utterance.version };
    await publisher.publish(objectHints, hint);
    return true;
  }

  private dropOlder(utteranceId: string): void {
    for (const stream of streams) {
      const offset = this.open[stream].remove(utteranceId);
      if (offset !== null) this.context.settle(offset);
    }
  }

  private sealWhatIsDue(): void {
    for (const stream of streams) if (this.open[stream].isDue(this.workshop.sealing)) this.seal(stream);
  }

  private seal(stream: Stream): void {
    const builder = this.open[stream];
    this.workshop.memory.holding.close(builder);
    this.open[stream] = this.newBuilder(stream);
    const upload = this.announce(builder, stream)
      .catch((error: unknown) => this.context.crash(error))
      .finally(() => this.uploads.delete(upload));
    this.uploads.add(upload);
  }

  private async announce(builder: ShardBuilder, stream: Stream): Promise<void> {
    const { publisher, memory, onSealed } = this.workshop;
    const startedAt = performance.now();
    // The span belongs to the shard, not to the utterance whose tiles filled it.
    await inSpan('seal shard', { root: true }, async (span) => {
      const { fact, offsets, sealings } = await memory.storing.use(builder.sizeBytes, () => this.store(builder));
      const { shardId, tileCount, sizeBytes } = fact;
      describeShard(span, fact, sealings);
      await retrying(() =>
        publisher.publishAbout(
          shardTopicOf(stream),
          [fact],
          sealings.map((each) => each.spanContext()),
        ),
      );
      onSealed({ shardId, stream, tileCount, sizeBytes, seconds: (performance.now() - startedAt) / 1000 });
      for (const sealing of sealings) sealing.end();
      for (const offset of offsets) this.context.settle(offset);
    });
  }

  private async store(builder: ShardBuilder): Promise<SealedShard> {
    const sealed = builder.seal();
    this.workshop.memory.holding.release(builder);
    const { bytes, fact } = sealed;
    // If the condition fails, an object of this name holds the same bytes already, which is as good.
    const options = { onlyIf: 'absent', contentType: 'application/vnd.apache.arrow.file' } as const;
    await retrying(() => this.workshop.store.put(fact.objectKey, bytes, options));
    release(bytes);
    return sealed;
  }

  private newBuilder(stream: Stream): ShardBuilder {
    const builder = new ShardBuilder(stream, this.workshop.settings);
    this.workshop.memory.holding.add(builder, () => this.seal(stream));
    return builder;
  }
}

/** Links the trace of a shard with the traces of its utterances; with many utterances, the shard's trace links the first ones. */
function describeShard(span: Span, { shardId, stream, tileCount, sizeBytes, utterances }: ShardSealed, sealings: readonly Span[]): void {
  if (!span.isRecording()) return;
  span.setAttributes({
    'undertone.shard.id': shardId,
    'undertone.shard.stream': stream,
    'undertone.shard.tiles': tileCount,
    'undertone.shard.size': sizeBytes,
    'undertone.shard.utterances': utterances.length,
  });
  span.addLinks(linksTo(sealings.map((each) => each.spanContext())));
  for (const sealing of sealings) sealing.setAttribute('undertone.shard.id', shardId).addLinks(linksTo([span.spanContext()]));
}
