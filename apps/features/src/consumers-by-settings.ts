/**
 * Runs one consumer of utterances for each settings hash that a corpus has, each in a group of its own. A new group reads from the
 * earliest record. Consumers whose settings no corpus has any more stop. The consumer of the service's own settings always runs,
 * for corpora that come later.
 *
 * Delivery: a group skips the records of other groups' corpora (passed-over.ts) and commits past them. If a corpus joins a running
 * group, the group's consumer starts again at the committed offsets, so its open records come again. A skipped record settles only
 * when the consumers follow the map that assigns it elsewhere, because a map may change back before they do. `undertone reprocess`
 * hints at records that the group had committed past before.
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
  /** The service's own settings, used until the bucket was read. */
  base: FeatureSettings;
  intervalMs: number;
  create: (hash: string, settings: FeatureSettings) => SettingsConsumer;
  /** Announces the map to the later stages. */
  announce: (map: SettingsMap) => Promise<void>;
  watch: { add: (consumer: WatchedConsumer) => void; remove: (consumer: WatchedConsumer) => void };
  crash: (error: unknown) => void;
  logger: Logger;
}

/** The map is announced again this often, so that a forged announcement does not last. */
const announceAgainMs = 60_000;

export class ConsumersBySettings {
  private readonly consumers = new Map<string, SettingsConsumer>();
  /** Skipped records of each worker, with the worker's settings hash. */
  private readonly passedOver = new Map<PassedOver, string>();
  /** The map as last read. */
  private map: SettingsMap;
  /** The map that the running consumers follow; null before they run. */
  applied: SettingsMap | null = null;
  private announcedAtMs = 0;
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

  /** Makes the list of skipped records for a worker of this hash. It is given back with the worker. */
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

  /** Runs one reading at a time; callers during a reading share it. */
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
      this.options.logger.warn({ err: error }, 'cannot read the feature settings of the corpora; keeping the previous ones');
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
    const isNews = !before || !map.equals(before);
    if (this.stopping || (!isNews && performance.now() - this.announcedAtMs < announceAgainMs)) return;
    await retrying(() => announce(map));
    this.announcedAtMs = performance.now();
    if (!isNews) return;
    this.applied = map;
    const corpora = Object.fromEntries([...map.corpora].map(([corpus, { hash }]) => [corpus, hash]));
    logger.info({ default: map.base.hash, corpora }, 'feature settings of the corpora');
  }

  /** Runs even if the map is unchanged: it may have changed and changed back before the consumers followed it. */
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
