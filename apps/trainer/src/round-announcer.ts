/**
 * What the trainer tells the other stages: the facts of its rounds, its checkpoints and predictions, and shards that are lost.
 *
 * Delivery: facts go out in the order in which they happened. What is announced of a checkpoint follows from what is stored:
 * it may be announced again, with the same keys and the same contents.
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
  /** What could not be told, though it was tried for long. */
  onFailure: (error: unknown) => void;
}

export class RoundAnnouncer {
  private announcing: Promise<void> = Promise.resolve();
  /** That computes the models. */
  backend = '';

  constructor(private readonly options: RoundAnnouncerOptions) {}

  /** Resolves when all is told that there was to tell. */
  get settled(): Promise<void> {
    return this.announcing;
  }

  tell(fact: TrainingFact): void {
    this.later(() => this.options.publisher.publish(training, fact));
  }

  /** In the round's trace; those of the utterances that it learnt first go on with the predictions. */
  tellOfModel(checkpoint: Checkpoint, roundTrace: RoundTrace | undefined): void {
    const utteranceSpans = roundTrace?.saved(checkpoint.step);
    const announce = () => this.announce(checkpoint, utteranceSpans);
    this.later(() => (roundTrace ? roundTrace.within(announce) : announce()));
  }

  /** Without predictions that are gone: they named somebody who was erased, and were scored (libs/compaction/src/sweep-objects.ts). */
  async tellAgain(checkpoint: Checkpoint): Promise<void> {
    const { store } = this.options;
    const heads = await retrying(() => Promise.all(checkpoint.predictions.map(({ objectKey }) => store.head(objectKey))));
    await this.announce({ ...checkpoint, predictions: checkpoint.predictions.filter((_, index) => heads[index]) });
  }

  /** The store no longer has these shards: they are withdrawn, and their recordings looked at and made into tiles again. */
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
