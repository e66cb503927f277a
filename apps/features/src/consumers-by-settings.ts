/**
 * One consumer of utterances for each feature settings that a corpus has, each in a group of its own from the earliest record:
 * settings that are new read everything, those that nobody has any more stop. The service's own always run, for corpora
 * that come tomorrow.
 *
 * Delivery: a group passes over the records of corpora that are not its own (passed-over.ts) and commits past them. Where a
 * corpus becomes one of a group that runs already, its consumer begins again at what is committed: what it held open then
 * comes again. A record that was passed over settles only when the consumers follow the map that says so, since a map may
 * change back before they do. What the group had committed past before is hinted at by `undertone reprocess`.
 */
import type { FeatureSettings } from '#audio/feature-settings.js';
import { SettingsMap } from '#audio/settings-by-corpus.js';
import type { Logger } from '#service/logger.js';
import { fateOf, retrying } from '#streaming/retry.js';
import type { WatchedConsumer } from '#streaming/stall-watch.js';
import { PassedOver, type PassOverContext } from './passed-over.js';
import type { SettingsObjects } from './settings-objects.js';

export interface SettingsConsumer extends WatchedConsumer {
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface ConsumersBySettingsOptions {
  objects: Pick<SettingsObjects, 'read'>;
  /** The service's own, until the bucket was read. */
  base: FeatureSettings;
  intervalMs: number;
  create: (hash: string, settings: FeatureSettings) => SettingsConsumer;
  /** Tells the stages after features. */
  announce: (map: SettingsMap) => Promise<void>;
  watch: { add: (consumer: WatchedConsumer) => void; remove: (consumer: WatchedConsumer) => void };
  crash: (error: unknown) => void;
  logger: Logger;
}

export class ConsumersBySettings {
  private readonly consumers = new Map<string, SettingsConsumer>();
  /** Of the workers that there are, with the hash of each. */
  private readonly passedOver = new Map<PassedOver, string>();
  /** As it was read last. */
  private map: SettingsMap;
  /** What the consumers that run are of; null before they do. */
  applied: SettingsMap | null = null;
  private reading: Promise<void> | undefined;
  private applying: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;
  private stopping = false;

  constructor(private readonly options: ConsumersBySettingsOptions) {
    this.map = SettingsMap.of(options.base);
  }

  /** Resolves when all consumers have joined their groups. */
  async start(): Promise<void> {
    await retrying(() => this.readAgain());
    await this.apply();
    this.timer = setInterval(() => void this.look(), this.options.intervalMs);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    clearInterval(this.timer);
    await Promise.all([...this.consumers.values()].map((consumer) => consumer.stop()));
  }

  isOf(hash: string, corpus: string): boolean {
    return this.map.hashOf(corpus) === hash;
  }

  /** For a worker of this hash; given back when the worker is. */
  passOver(hash: string, settle: PassOverContext['settle']): PassedOver {
    const passedOver = new PassedOver({
      settle,
      isMine: (corpus) => this.isOf(hash, corpus),
      isElsewhere: (corpus) => this.applied !== null && !this.isOf(hash, corpus) && this.applied.hashOf(corpus) !== hash,
      readAgain: () => this.readAgain(),
    });
    this.passedOver.set(passedOver, hash);
    return passedOver;
  }

  giveBack(passedOver: PassedOver): void {
    this.passedOver.delete(passedOver);
  }

  /** One reading at a time: who asks while one is under way gets that one. */
  private readAgain(): Promise<void> {
    this.reading ??= this.read().finally(() => {
      this.reading = undefined;
    });
    return this.reading;
  }

  private async read(): Promise<void> {
    const taken = [...this.passedOver.keys()].map((each) => ({ each, mark: each.mark }));
    this.map = await this.options.objects.read();
    for (const { each, mark } of taken) each.confirm(mark);
  }

  private async look(): Promise<void> {
    try {
      await this.readAgain();
      await this.apply();
    } catch (error) {
      if (this.stopping) return;
      if (fateOf(error) !== 'retryable') return this.options.crash(error);
      this.options.logger.warn({ err: error }, 'the feature settings of the corpora could not be read; they stay as they were');
    }
  }

  private apply(): Promise<void> {
    const applied = this.applying.then(() => this.applyNow());
    this.applying = applied.catch(() => undefined);
    return applied;
  }

  private async applyNow(): Promise<void> {
    const { map, applied: before } = this;
    if (this.stopping) return;
    const { announce, logger } = this.options;
    for (const [hash, settings] of map.inUse) {
      const hasMore = before !== null && map.hasMoreUnder(hash, before);
      if (hasMore || this.holdsOwn(hash)) await this.end(hash);
      if (!this.consumers.has(hash)) await this.begin(hash, settings);
    }
    for (const hash of this.consumers.keys()) if (!map.inUse.has(hash)) await this.end(hash);
    if (this.stopping || (before && map.equals(before))) return;
    await retrying(() => announce(map));
    this.applied = map;
    const corpora = Object.fromEntries([...map.corpora].map(([corpus, { hash }]) => [corpus, hash]));
    logger.info({ default: map.base.hash, corpora }, 'feature settings of the corpora');
  }

  /** Also where the map is as it was: it may have changed, and changed back, before the consumers followed it. */
  private holdsOwn(hash: string): boolean {
    return [...this.passedOver].some(([each, own]) => own === hash && each.holdsOwn);
  }

  private async begin(hash: string, settings: FeatureSettings): Promise<void> {
    if (this.stopping) return;
    const consumer = this.options.create(hash, settings);
    this.consumers.set(hash, consumer);
    this.options.watch.add(consumer);
    await consumer.start();
  }

  private async end(hash: string): Promise<void> {
    const consumer = this.consumers.get(hash);
    if (!consumer || this.stopping) return;
    await consumer.stop();
    this.options.watch.remove(consumer);
    this.consumers.delete(hash);
  }
}
