/**
 * Imitates users of the bucket: it adds, changes, breaks, repairs, deletes and restores recordings, and changes manifests. The
 * store's events about each change come late, twice, in another order, or never.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { bucketEvents } from '#contracts/bucket-events.js';
import { emotionCategories } from '#contracts/labels.js';
import { corpusKey } from '#contracts/object-keys.js';
import { Publisher } from '#streaming/publisher.js';
import type { ChaosWorld } from './chaos-world.js';
import { brokenAudio, goodAudio, type MadeAudio } from './made-audio.js';
import { SeededRandom } from './seeded-random.js';
import { TrueCorpus, TrueObject, type ManifestRow, type Truth } from './true-corpus.js';

export interface StreamOptions {
  seed: number;
  opsPerSec: number;
  relabelEverySec: number;
  /** Recordings that the manifests list from the start. */
  plannedObjects: number;
}

const opWeights = {
  new: 34,
  'new broken': 8,
  overwrite: 16,
  break: 5,
  mend: 9,
  delete: 9,
  'delete and put again': 8,
  'change and back': 5,
  /** Deletes and restores a recording faster than a service can read it twice. */
  flicker: 6,
};
type Op = keyof typeof opWeights;

const opsAtOnce = 6;

export class ChaosStream {
  readonly corpora = [new TrueCorpus('alpha'), new TrueCorpus('beta')];
  readonly counts: Record<string, number> = {};
  private readonly publisher: Publisher;
  private readonly random: SeededRandom;
  private readonly running = new Set<Promise<void>>();
  private readonly eventsUnderWay = new Set<Promise<void>>();
  private isRunning = true;
  private ops = 0;

  constructor(
    private readonly world: ChaosWorld,
    private readonly options: StreamOptions,
  ) {
    this.publisher = new Publisher(world.kafka, world.prefix);
    this.random = new SeededRandom(options.seed, 'stream');
  }

  truths(): Truth[] {
    return this.corpora.flatMap((corpus) => corpus.truths());
  }

  get objects(): TrueObject[] {
    return this.corpora.flatMap(({ objects }) => objects);
  }

  /** Puts annotations first, like `undertone put`. */
  async prepare(): Promise<void> {
    await this.publisher.connect();
    const { store } = this.world;
    for (const corpus of this.corpora) {
      // Ingest recognises the reader of the others by itself.
      const options = { ...(corpus.name === 'alpha' && { reader: 'manifest' }), silence: 'none' };
      await store.put(corpusKey(corpus.name, 'corpus.json'), JSON.stringify(options));
      for (let n = 0; n < this.options.plannedObjects; n++)
        if (this.random.chance(0.85)) corpus.rows.set(pathOf(n), this.newRow(corpus, n));
      await this.untilDone(() => store.put(corpusKey(corpus.name, 'manifest.csv'), corpus.manifest));
    }
  }

  /** Runs until `stop`. */
  async run(): Promise<void> {
    const { opsPerSec, relabelEverySec } = this.options;
    let relabelAt = Date.now() + relabelEverySec * 1000;
    while (this.isRunning) {
      if (Date.now() >= relabelAt) {
        await this.relabel();
        relabelAt = Date.now() + relabelEverySec * 1000;
      }
      if (this.running.size >= opsAtOnce) await Promise.race(this.running);
      this.begin();
      await sleep(1000 / opsPerSec);
    }
  }

  /** Resolves when all started changes are done and all events are sent. */
  async stop(): Promise<void> {
    this.isRunning = false;
    await Promise.all(this.running);
    await Promise.all(this.eventsUnderWay);
    await this.publisher.close();
  }

  private begin(): void {
    const random = new SeededRandom(this.options.seed, `op ${this.ops++}`);
    const op = random.choose(opWeights);
    const object = this.objectFor(op, random);
    if (!object) return;
    object.isBusy = true;
    const done = this.perform(op, object, random).finally(() => {
      object.isBusy = false;
      this.running.delete(done);
    });
    this.running.add(done);
  }

  private objectFor(op: Op, random: SeededRandom): TrueObject | undefined {
    const corpus = random.pick(this.corpora);
    if (op === 'new' || op === 'new broken' || op === 'flicker') {
      const object = new TrueObject(corpus.name, pathOf(corpus.objects.length));
      corpus.objects.push(object);
      return object;
    }
    const fits = (object: TrueObject): boolean => {
      if (object.isBusy || !object.current) return false;
      const isGood = object.current.audio.code === null;
      return op === 'mend' ? !isGood : op === 'break' || op === 'overwrite' ? isGood : true;
    };
    for (let draw = 0; draw < 30 && corpus.objects.length > 0; draw++) {
      const object = random.pick(corpus.objects);
      if (fits(object)) return object;
    }
    return undefined;
  }

  private async perform(op: Op, object: TrueObject, random: SeededRandom): Promise<void> {
    const seed = random.below(2 ** 31);
    const ending = object.path.endsWith('.flac') ? 'flac' : 'wav';
    const good = (): MadeAudio => goodAudio(ending, seed);
    const before = object.current?.audio;
    this.count(op);
    switch (op) {
      case 'new':
      case 'overwrite':
      case 'mend':
        return this.put(object, good(), random);
      case 'new broken':
      case 'break':
        return this.put(object, brokenAudio(ending, seed), random);
      case 'delete':
        return this.remove(object, random);
      case 'delete and put again':
        await this.remove(object, random);
        await sleep(random.between(0, 1_500));
        return before && this.put(object, before, random);
      case 'flicker': {
        const audio = good();
        await this.put(object, audio, random);
        for (let times = 1 + random.below(3); times > 0; times--) {
          await sleep(random.between(0, 500));
          await this.remove(object, random);
          await sleep(random.between(0, 200));
          await this.put(object, audio, random);
        }
        return;
      }
      case 'change and back':
        await this.put(object, good(), random);
        await sleep(random.between(0, 1_500));
        return before && this.put(object, before, random);
    }
  }

  private async put(object: TrueObject, audio: MadeAudio, random: SeededRandom): Promise<void> {
    const { store } = this.world;
    await this.untilDone(() => store.put(object.key, audio.bytes));
    const head = await this.untilDone(() => store.head(object.key));
    if (!head) throw new Error(`${object.key} was put, but the store does not have it`);
    const state = { etag: head.etag, sizeBytes: head.sizeBytes, audio };
    object.current = state;
    object.states.set(state.etag, state);
    object.tell(`put ${audio.kind} ${state.etag.slice(0, 6)} (${state.sizeBytes} bytes)`);
    this.count('objects put');
    this.announce(object, 'ObjectCreated:Put', random);
  }

  private async remove(object: TrueObject, random: SeededRandom): Promise<void> {
    await this.untilDone(() => this.world.store.delete(object.key));
    object.current = undefined;
    object.tell('deleted');
    this.count('objects deleted');
    this.announce(object, 'ObjectRemoved:Delete', random);
  }

  /** Some recordings get, lose or change an emotion. Some leave the manifest, and some enter it. */
  private async relabel(): Promise<void> {
    const corpus = this.random.pick(this.corpora);
    const before = new Map(corpus.rows);
    const changed = Array.from({ length: 3 + this.random.below(12) }, () => this.random.below(corpus.objects.length + 20));
    for (const n of new Set(changed)) {
      const path = pathOf(n);
      const row = corpus.rows.get(path);
      if (!row) corpus.rows.set(path, this.newRow(corpus, n));
      else if (this.random.chance(0.15)) corpus.rows.delete(path);
      else
        corpus.rows.set(path, {
          ...row,
          emotion: this.random.chance(0.4) && row.emotion ? undefined : this.random.pick(emotionCategories),
        });
      corpus.objects[n]?.tell(
        `relabelled ${corpus.rows.get(path)?.emotion ?? (corpus.rows.has(path) ? 'unlabelled' : 'off the manifest')}`,
      );
      this.count('relabelled');
    }
    await this.putManifest(corpus);
    if (!this.random.chance(0.3)) return;
    await sleep(this.random.between(300, 4_000));
    corpus.rows.clear();
    for (const [path, row] of before) corpus.rows.set(path, row);
    for (const n of new Set(changed)) corpus.objects[n]?.tell('relabelled as it was before');
    await this.putManifest(corpus);
    this.count('manifests put back');
  }

  private async putManifest(corpus: TrueCorpus): Promise<void> {
    const key = corpusKey(corpus.name, 'manifest.csv');
    await this.untilDone(() => this.world.store.put(key, corpus.manifest));
    this.count('manifests put');
    this.announce({ key, tell: () => undefined }, 'ObjectCreated:Put', this.random);
  }

  private newRow(corpus: TrueCorpus, n: number): ManifestRow {
    const speaker = n % 9; // Fewer than ten, so that ingest leaves them to the hash.
    return {
      speaker: `s${speaker}`,
      gender: speaker % 2 === 0 ? 'female' : 'male',
      emotion: this.random.chance(0.6) ? this.random.pick(emotionCategories) : undefined,
      // One corpus gives its splits; the other leaves them to the hash.
      split: corpus.name === 'alpha' ? ((['test', 'dev'] as const)[speaker] ?? 'train') : undefined,
    };
  }

  /** Sends an event, which may be missing, doubled, late or out of order. */
  private announce(object: Pick<TrueObject, 'key' | 'tell'>, eventName: string, random: SeededRandom): void {
    if (random.chance(0.2)) {
      this.count('events missing');
      return object.tell('no event');
    }
    const copies = random.chance(0.15) ? 2 : 1;
    if (copies === 2) this.count('events doubled');
    for (let copy = 0; copy < copies; copy++) {
      const isLate = random.chance(0.15);
      if (isLate) this.count('events late');
      const delayMs = isLate ? random.between(1_000, 8_000) : random.chance(0.3) ? random.between(0, 400) : 0;
      const sent = this.send(object.key, eventName, { delayMs, overHttp: random.chance(0.5) }).finally(() =>
        this.eventsUnderWay.delete(sent),
      );
      this.eventsUnderWay.add(sent);
    }
  }

  private async send(key: string, eventName: string, { delayMs, overHttp }: { delayMs: number; overHttp: boolean }): Promise<void> {
    const bucket = { name: this.world.store.bucket };
    const object = { key: encodeURIComponent(key) };
    const event = { Records: [{ eventSource: 'aws:s3', eventName, s3: { bucket, object } }] };
    await sleep(delayMs);
    if (!overHttp) {
      await this.untilDone(() => this.publisher.publish(bucketEvents, event));
      return this.count('events sent');
    }
    const answer = await fetch(`${this.world.urlOf('ingest')}/bucket-events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(event),
      signal: AbortSignal.timeout(5_000),
    }).catch(() => null);
    this.count(answer?.status === 202 ? 'events sent' : 'events missing');
  }

  /** Retries, because the test also kills the store and the broker that it uses itself. */
  private async untilDone<Result>(work: () => Promise<Result>): Promise<Result> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (attempt > 300) throw error;
        await sleep(200);
      }
    }
  }

  private count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

/** One in eight is FLAC. */
const pathOf = (n: number): string => `clips ${n % 3}/${String(n).padStart(5, '0')}.${n % 8 === 5 ? 'flac' : 'wav'}`;
