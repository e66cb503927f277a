/** Drops recordings into a pipeline's bucket at a steady pace, replaces some, and deletes some. */
import { globSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { hintAt, objectHints } from '#contracts/object-hints.js';
import { corpusKey } from '#contracts/object-keys.js';
import { readKafkaConnection } from '#service/connection-config.js';
import { createLogger } from '#service/logger.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { Publisher } from '#streaming/publisher.js';
import { retrying } from '#streaming/retry.js';
import type { RunningPipeline } from '../test/integration/running-pipeline.js';

export interface DropShares {
  /** Share of drops that replace an older object with other contents. */
  overwrites: number;
  /** Share of drops that delete an older object. */
  deletions: number;
}

const corpus = 'drops';

/** The acted sample recordings, 1 to 3 s each. */
export const sampleContents = (): Buffer[] =>
  globSync('samples/acted/audio/**/*.flac')
    .sort()
    .map((path) => readFileSync(path));

export class SteadyDrops {
  /** The time of the last drop of each key, by `Date.now()`. */
  readonly droppedAt = new Map<string, number>();
  count = 0;
  private readonly contents = sampleContents();
  private readonly publisher: Publisher;
  private running: Promise<void> | undefined;
  private isOver = false;

  constructor(
    private readonly pipeline: RunningPipeline,
    private readonly everyMs: number,
    private readonly shares: DropShares = { overwrites: 0, deletions: 0 },
  ) {
    const kafka = kafkaClient(readKafkaConnection(pipeline.environment), 'undertone-bench', createLogger('bench', 'silent'));
    this.publisher = new Publisher(kafka, pipeline.prefix);
  }

  async start(): Promise<void> {
    await this.publisher.connect();
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.running;
    await this.publisher.close();
  }

  /** Drops one more recording now. @returns its key, once the hint is durable */
  async dropOne(): Promise<string> {
    return this.put(`${this.count}.flac`);
  }

  private async run(): Promise<void> {
    let nextAt = Date.now();
    while (!this.isOver) {
      await this.drop();
      // Drops that an outage delayed are not made up, so the pace stays steady.
      nextAt = Math.max(Date.now(), nextAt + this.everyMs);
      await sleep(nextAt - Date.now());
    }
  }

  private async drop(): Promise<void> {
    const turn = (this.count * 0.618034) % 1;
    const [oldest] = this.droppedAt.keys();
    const key = oldest !== undefined && this.droppedAt.size > 20 ? oldest : undefined;
    if (key !== undefined && turn < this.shares.deletions) {
      this.count++;
      this.droppedAt.delete(key);
      await retrying(() => this.pipeline.store.delete(key));
      return this.publisher.publish(objectHints, hintAt(key, 'event'));
    }
    const isOverwrite = key !== undefined && turn < this.shares.deletions + this.shares.overwrites;
    await this.put(isOverwrite ? key.slice(corpusKey(corpus, '').length) : `${this.count}.flac`);
  }

  private async put(path: string): Promise<string> {
    const key = corpusKey(corpus, path);
    const bytes = this.contents[this.count++ % this.contents.length] as Buffer;
    await retrying(() => this.pipeline.store.put(key, bytes));
    this.droppedAt.delete(key);
    this.droppedAt.set(key, Date.now());
    await this.publisher.publish(objectHints, hintAt(key, 'event'));
    return key;
  }
}
