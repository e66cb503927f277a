/**
 * Scores the backlog: reads tiles from shards, asks the model, publishes the scores.
 *
 * Delivery: effectively once for each (utterance, version, model). A score counts when the topic has acknowledged it. After a crash
 * before that, the utterance is scored again, with the same key and numbers. A version that was replaced or deleted meanwhile is not
 * published; if that happens during the publish itself, the next work corrects it with the new score or a tombstone.
 *
 * A shard that cannot be read waits: the trainer withdraws lost shards and has their tiles made again. An utterance that cannot be
 * scored gets a dead letter, and is tried again with the next model.
 */
import { emotions, type UtteranceScored } from '#contracts/emotions.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { topicName } from '#contracts/topic.js';
import { utterances as utterancesTopic } from '#contracts/utterances.js';
import type { Logger } from '#service/logger.js';
import type { ServedModel } from '#serving/served-model.js';
import type { DeadLetterOffice } from '#streaming/dead-letter-office.js';
import type { Publisher } from '#streaming/publisher.js';
import { fateOf, isOutage, retrying } from '#streaming/retry.js';
import type { DueUtterance, ScoreBacklog, ScoreWork } from './score-backlog.js';
import type { ShardTiles } from './shard-tiles.js';

export interface ScoreStreamOptions {
  backlog: ScoreBacklog;
  tiles: Pick<ShardTiles, 'read'>;
  model: () => ServedModel | null;
  publisher: Pick<Publisher<'predictor'>, 'publish' | 'tombstone' | 'topicPrefix'>;
  office: Pick<DeadLetterOffice, 'writeLetter'>;
  onScored: (scored: { kind: 'new' | 'again'; utterances: number; tiles: number; seconds: number }) => void;
  onTombstones: (count: number) => void;
  logger: Logger;
  crash: (error: unknown) => void;
}

/** Bounds memory and the time for which other requests wait. */
const tilesAtOnce = 64;
const idleMs = 1_000;
const unreadableAgainMs = 10_000;
const failedAgainMs = 2_000;
/** As everywhere: the third failure makes a dead letter. */
const failureLimit = 3;

export class ScoreStream {
  private readonly stopped = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private wake: () => void = () => undefined;
  /** Failures by unknown errors, by utterance and version. */
  private readonly failures = new Map<string, number>();

  constructor(private readonly options: ScoreStreamOptions) {}

  start(): void {
    this.running = this.run().catch((error: unknown) => {
      if (!this.stopped.signal.aborted) this.options.crash(error);
    });
  }

  /** Tells that there may be work. */
  notify(): void {
    this.wake();
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    this.wake();
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.stopped.signal.aborted) {
      const work = this.options.backlog.next(tilesAtOnce);
      if (work) await this.carryOut(work);
      else await this.idle();
    }
  }

  private async carryOut(work: ScoreWork): Promise<void> {
    const { backlog } = this.options;
    if (work.kind === 'tombstones') return this.withdraw(work.utteranceIds);
    const ids = work.utterances.map(({ utterance }) => utterance.utteranceId);
    try {
      await this.scoreOrSplit(work.utterances, work.kind);
    } finally {
      backlog.done(ids);
    }
  }

  private async withdraw(utteranceIds: readonly string[]): Promise<void> {
    const { backlog, publisher, onTombstones } = this.options;
    const { signal } = this.stopped;
    await Promise.all(utteranceIds.map((id) => retrying(() => publisher.tombstone(emotions, id), { signal })));
    for (const utteranceId of utteranceIds) backlog.applyScore(utteranceId, null);
    onTombstones(utteranceIds.length);
    backlog.done(utteranceIds);
  }

  /** If some of several utterances fail, each is tried alone, so that one cannot hold up the others. */
  private async scoreOrSplit(due: readonly DueUtterance[], kind: 'new' | 'again'): Promise<void> {
    try {
      await this.score(due, kind);
    } catch (error) {
      if (this.stopped.signal.aborted) return;
      if (isOutage(error)) return this.later(due, unreadableAgainMs, (error as Error).message);
      const [only, ...others] = due;
      if (!only || others.length === 0) return this.failed(only as DueUtterance, error);
      for (const each of due) if (!this.stopped.signal.aborted) await this.scoreOrSplit([each], kind);
    }
  }

  private async score(due: readonly DueUtterance[], kind: 'new' | 'again'): Promise<void> {
    const { tiles, model: served, publisher, backlog, onScored } = this.options;
    const { signal } = this.stopped;
    const model = served();
    if (!model) return;
    const startedAt = performance.now();
    const made = await retrying(() => tiles.read(due.map(({ utterance }) => utterance)), { signal });
    if (!made) return this.later(due, unreadableAgainMs, `shard ${due[0]?.utterance.shardId} is gone, or is not the announced one`);
    const scores = await model.score(made);
    const facts = due.flatMap(({ utterance, settingsHash }, at): UtteranceScored[] => {
      const score = scores[at];
      if (!score || !backlog.isStillWanted(utterance)) return [];
      const { utteranceId, version } = utterance;
      return [{ utteranceId, version, model: model.identity, settingsHash, ...score, scoredAt: new Date().toISOString() }];
    });
    if (facts.length === 0) return;
    await retrying(() => publisher.publish(emotions, ...facts), { signal });
    for (const fact of facts) {
      backlog.applyScore(fact.utteranceId, fact);
      this.failures.delete(failureName(fact));
    }
    const seconds = (performance.now() - startedAt) / 1000;
    onScored({ kind, utterances: facts.length, tiles: facts.reduce((sum, each) => sum + each.tiles.length, 0), seconds });
  }

  private later(due: readonly DueUtterance[], ms: number, why: string): void {
    this.options.logger.warn({ utterances: due.length, waitMs: ms }, `cannot score now, and tries again: ${why}`);
    for (const { utterance } of due) this.options.backlog.postpone(utterance.utteranceId, ms);
  }

  private async failed({ utterance, settingsHash }: DueUtterance, cause: unknown): Promise<void> {
    const { backlog, office, publisher, logger } = this.options;
    const { utteranceId, version, objectKey } = utterance;
    let error = cause;
    if (fateOf(cause) === 'unknown') {
      const failures = (this.failures.get(failureName(utterance)) ?? 0) + 1;
      this.failures.set(failureName(utterance), failures);
      logger.warn({ err: cause, utteranceId, failures }, 'cannot score an utterance');
      if (failures < failureLimit) return backlog.postpone(utteranceId, failedAgainMs);
      error = new PipelineError('UNKNOWN_REPEATED', `Scoring failed ${failures} times: ${(cause as Error).message}`, { cause });
    }
    const key = Buffer.from(utteranceId);
    const origin = { topic: topicName(utterancesTopic, publisher.topicPrefix), partition: 0, offset: '-1', key, value: null };
    const letter = error as PipelineError;
    logger.warn({ code: letter.code, utteranceId }, letter.message);
    await retrying(() => office.writeLetter(origin, { utteranceId, version, objectKey, settingsHash }, letter), {
      signal: this.stopped.signal,
    });
    this.failures.delete(failureName(utterance));
    backlog.fail(utterance);
  }

  private async idle(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, idleMs);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

const failureName = ({ utteranceId, version }: { utteranceId: string; version: string }): string => `${utteranceId}@${version}`;
