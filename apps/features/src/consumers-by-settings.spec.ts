import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { defaultFeatureSettings } from '#audio/feature-settings.js';
import { SettingsMap } from '#audio/settings-by-corpus.js';
import type { FeatureOverrides } from '#contracts/feature-settings.js';
import { PipelineError } from '#contracts/pipeline-error.js';
import { ConsumersBySettings, type SettingsConsumer } from './consumers-by-settings.js';

let consumers: ConsumersBySettings;
afterEach(async () => consumers.stop());

/** Consumers that only record what is done to them. The bucket is a variable. */
function running(overrides: Record<string, FeatureOverrides> = {}) {
  const bucket = { map: mapOf(overrides), isAway: false };
  const done: string[] = [];
  const announced: SettingsMap[] = [];
  const watched = new Set<unknown>();
  const crashes: unknown[] = [];
  const broker = { isAway: false };
  consumers = new ConsumersBySettings({
    objects: {
      read: () =>
        bucket.isAway ? Promise.reject(new PipelineError('STORAGE_UNAVAILABLE', 'The store is away')) : Promise.resolve(bucket.map),
    },
    base: defaultFeatureSettings,
    intervalMs: 5,
    create: (hash): SettingsConsumer => ({
      groupId: hash,
      topics: [],
      commits: true,
      activity: () => null,
      start: () => Promise.resolve(void done.push(`start ${hash}`)),
      stop: () => Promise.resolve(void done.push(`stop ${hash}`)),
    }),
    announce: async (map) => {
      while (broker.isAway) await sleep(2);
      announced.push(map);
    },
    watch: { add: (each) => watched.add(each), remove: (each) => watched.delete(each) },
    crash: (error) => crashes.push(error),
    logger: pino({ level: 'silent' }),
  });
  const change = async (to: Record<string, FeatureOverrides>): Promise<string[]> => {
    done.length = 0;
    bucket.map = mapOf(to);
    await expect.poll(() => consumers.applied?.equals(bucket.map)).toBe(true);
    return [...done];
  };
  return { bucket, broker, done, announced, watched, crashes, change };
}

type Overrides = Record<string, FeatureOverrides>;
const mapOf = (overrides: Overrides) => SettingsMap.of(defaultFeatureSettings, new Map(Object.entries(overrides)));
const centre = { layout: 'centre' } as const;
const base = mapOf({}).base.hash;
const other = mapOf({ c: centre }).hashOf('c');

describe('consumers', () => {
  it('run for each settings hash of a corpus, and for the service’s own settings', async () => {
    const { done, watched, announced } = running({ c: centre, d: centre, e: {} });
    expect(consumers.applied).toBeNull();
    await consumers.start();
    expect(done).toEqual([`start ${base}`, `start ${other}`]);
    expect(watched.size).toBe(2);
    expect(announced.map((map) => map.hashOf('c'))).toEqual([other]);
    expect([consumers.isOf(base, 'x'), consumers.isOf(base, 'e'), consumers.isOf(base, 'c'), consumers.isOf(other, 'd')]).toEqual([
      true,
      true,
      false,
      true,
    ]);
  });

  it('announce the map again each minute, so that a forged announcement does not last', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const { announced } = running({ c: centre });
      await consumers.start();
      await sleep(30);
      expect(announced).toHaveLength(1);
      vi.advanceTimersByTime(60_000);
      await expect.poll(() => announced.length).toBe(2);
      expect(announced.map((map) => map.hashOf('c'))).toEqual([other, other]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('start when a corpus gets new settings, and stop when no corpus has them any more', async () => {
    const { change, watched, announced } = running();
    await consumers.start();
    expect(await change({ c: centre })).toEqual([`start ${other}`]);
    // The service's own settings run already and get a corpus more, so their consumer starts again at the committed offsets.
    expect(await change({})).toEqual([`stop ${base}`, `start ${base}`, `stop ${other}`]);
    expect(watched.size).toBe(1);
    expect(announced.map((map) => map.hashOf('c'))).toEqual([base, other, base]);
  });

  it('start again when another corpus gets their settings', async () => {
    const { change } = running({ c: centre });
    await consumers.start();
    expect(await change({ c: centre, d: centre })).toEqual([`stop ${other}`, `start ${other}`]);
    expect(await change({ d: centre })).toEqual([`stop ${base}`, `start ${base}`]);
  });

  it('keep their settings during an outage of the store', async () => {
    const { bucket, change, done, crashes } = running();
    await consumers.start();
    bucket.isAway = true;
    bucket.map = mapOf({ c: centre });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([consumers.isOf(base, 'c'), done, crashes]).toEqual([true, [`start ${base}`], []]);
    bucket.isAway = false;
    expect(await change({ c: centre })).toEqual([`start ${other}`]);
  });

  it('settle skipped records once the map was read again', async () => {
    running({ c: centre });
    await consumers.start();
    const settled: string[] = [];
    const passedOver = consumers.passOver(base, (offset) => settled.push(offset));
    await passedOver.add('c', '7');
    await expect.poll(() => settled).toEqual(['7']);
    consumers.giveBack(passedOver);
  });

  describe('while a change waits for the broker, and the next change is taken back before it begins', () => {
    /** The records of corpus c that one worker of the service's own settings holds, skipped or not. */
    async function holding(offset: string, options: { before: Overrides; waiting: Overrides; between: Overrides }) {
      const { before, waiting, between } = options;
      const { bucket, broker, done } = running(before);
      await consumers.start();
      const settled: string[] = [];
      const reads = { count: 0 };
      const passedOver = consumers.passOver(base, (each) => settled.push(each));
      broker.isAway = true;
      bucket.map = mapOf(waiting);
      await expect.poll(() => consumers.isOf(other, 'd')).toBe(true);
      if (before['c']) await passedOver.add('c', offset);
      bucket.map = mapOf(between);
      await expect.poll(() => consumers.isOf(base, 'c')).toBe(!between['c']);
      if (!before['c']) await passedOver.add('c', offset);
      const confirm = passedOver.confirm.bind(passedOver);
      passedOver.confirm = (mark) => {
        confirm(mark);
        reads.count++;
      };
      await expect.poll(() => reads.count).toBeGreaterThan(2);
      const settledBetween = [...settled];
      bucket.map = mapOf(waiting);
      await expect.poll(() => consumers.isOf(base, 'c')).toBe(!waiting['c']);
      done.length = 0;
      broker.isAway = false;
      return { done, settled, settledBetween, passedOver };
    }

    it('settle a skipped record whose corpus was theirs in between', async () => {
      const before = { c: centre };
      const { settled } = await holding('7', { before, waiting: { c: centre, d: centre }, between: { d: centre } });
      await expect.poll(() => settled).toEqual(['7']);
    });

    it('take a record of their own again whose corpus was another’s in between', async () => {
      const between = { c: centre, d: centre };
      const { done, settled, settledBetween, passedOver } = await holding('9', { before: {}, waiting: { d: centre }, between });
      expect(settledBetween).toEqual([]);
      await expect.poll(() => done).toContain(`start ${base}`);
      consumers.giveBack(passedOver);
      expect([done.slice(0, 2), settled]).toEqual([[`stop ${base}`, `start ${base}`], []]);
    });
  });
});
