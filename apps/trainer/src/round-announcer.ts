/**
 * Announces the trainer's facts to the other stages: its rounds, its checkpoints and predictions, and lost shards.
 *
 * Delivery: facts go out in the order in which they happened. The announcement of a checkpoint follows from the stored object, so
 * it may be repeated with the same keys and contents.
 */
import { checkpoints } from '#contracts/checkpoints.js';
import { hintAt, objectHints } from '#contracts/object-hints.js';
import { corporaPrefix } from '#contracts/object-keys.js';
import { predictions } from '#contracts/predictions.js';
import { shardTopicOf } from '#contracts/shards.js';
import { training, type TrainingFact } from '#contracts/training.js';
import type { SpanContext } from '#service/spans.js';
import type { ObjectStore } from '#storage/object-store.js';
import type { Publisher } from '#streaming/publisher.js';
import { retrying } from '#streaming/retry.js';
import { manifestKey, type Checkpoint } from '#rounds/checkpoint-store.js';
import type { TrainingIndex } from '#index/training-index.js';
import type { RoundTrace } from './round-trace.js';

export interface RoundAnnouncerOptions {
  publisher: Publisher<'trainer'>;
  store: ObjectStore;
  /** Called when a fact could not be announced after long retries. */
  onFailure: (error: unknown) => void;
}

export class RoundAnnouncer {
  private announcing: Promise<void> = Promise.resolve();
  /** Backend that computes the models. */
  backend = '';

  constructor(private readonly options: RoundAnnouncerOptions) {}

  /** Resolves when all queued facts are announced. */
  get settled(): Promise<void> {
    return this.announcing;
  }

  tell(fact: TrainingFact): void {
    this.later(() => this.options.publisher.publish(training, fact));
  }

  /** Announces a checkpoint in the round's trace. The traces of utterances that the round learnt first continue with the predictions. */
  tellOfModel(checkpoint: Checkpoint, roundTrace: RoundTrace | undefined): void {
    const utteranceSpans = roundTrace?.saved(checkpoint.step);
    const announce = () => this.announce(checkpoint, utteranceSpans);
    this.later(() => (roundTrace ? roundTrace.within(announce) : announce()));
  }

  /** Leaves out deleted predictions: they named an erased utterance, and were scored before (libs/compaction/src/sweep-objects.ts). */
  async tellAgain(checkpoint: Checkpoint): Promise<void> {
    const { store } = this.options;
    const heads = await retrying(() => Promise.all(checkpoint.predictions.map(({ objectKey }) => store.head(objectKey))));
    await this.announce({ ...checkpoint, predictions: checkpoint.predictions.filter((_, index) => heads[index]) });
  }

  /** Withdraws shards that the store has lost, and hints at their recordings, so that their tiles are made again. */
  askForShards(shardIds: ReadonlySet<string>, index: TrainingIndex): void {
    this.later(async () => {
      const { publisher } = this.options;
      const lost = [...shardIds].flatMap((shardId) => index.readFrom(shardId) ?? []);
      for (const { shardId, stream } of lost) await publisher.tombstone(shardTopicOf(stream), shardId);
      const objectKeys = lost.flatMap(({ utteranceIds }) => utteranceIds.map((id) => corporaPrefix + id));
      await publisher.publishApart(
        objectHints,
        objectKeys.map((key) => hintAt(key, 'changed-underfoot', true)),
      );
    });
  }

  private async announce(checkpoint: Checkpoint, utteranceSpans: readonly SpanContext[] = []): Promise<void> {
    const { runId, round, step, weights, view, configHash, codeVersion, savedAt } = checkpoint;
    const { publisher } = this.options;
    await publisher.publish(checkpoints, {
      runId,
      round,
      step,
      manifestKey: manifestKey(runId, step),
      sha256: weights.sha256,
      viewDigest: view.digest,
      viewUtterances: view.utterances,
      viewTiles: view.tiles,
      newestUtteranceAt: view.newestAt,
      predictedTasks: checkpoint.predictions.map(({ task }) => task),
      backend: this.backend,
      configHash,
      codeVersion,
      savedAt,
    });
    await publisher.publishAbout(predictions, checkpoint.predictions, utteranceSpans);
  }

  private later(publish: () => Promise<void>): void {
    this.announcing = this.announcing.then(publish).catch(this.options.onFailure);
  }
}
