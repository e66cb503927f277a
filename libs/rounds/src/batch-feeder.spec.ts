import { expect, it } from 'vitest';
import { BatchFeeder } from './batch-feeder.js';
import { Sampler, type SamplerState } from './sampler.js';
import type { TileRef } from './tile-pool.js';
import type { TrainingView, ViewUtterance } from '#index/training-index.js';

const utterances = Array.from(
  { length: 11 },
  (_, i): ViewUtterance => ({
    utteranceId: `c/${i}`,
    version: 'v',
    objectKey: 'o',
    stream: i % 3 === 0 ? 'labelled' : 'unlabelled',
    labels: {},
    split: 'train',
    withheld: false,
    shardId: 's',
    shardObjectKey: 's',
    firstRow: i,
    tileCount: 1,
  }),
);
const view: TrainingView = { digest: 'd', settings: {}, settingsHash: 'h', tile: null, utterances };
const samplerAt = (state?: SamplerState) =>
  new Sampler(view, { seed: 4, classOf: ({ stream }) => (stream === 'labelled' ? 0 : -1), state });
const wanted = { labelled: 2, unlabelled: 3 };
/** The pixels of a tile are the number of its row. */
const rows = (refs: readonly TileRef[]): Promise<Uint8Array> => Promise.resolve(Uint8Array.from(refs, ({ row }) => row));

it('hands out batches in the sampler’s order, with the state after the last batch', async () => {
  const plain = samplerAt();
  const expected = Array.from({ length: 9 }, () => plain.nextBatch(wanted).map(({ row }) => row));
  const feeder = new BatchFeeder(samplerAt(), { read: rows }, wanted);
  const given: number[][] = [];
  for (let batch = 0; batch < 5; batch++) given.push([...(await feeder.next()).tiles]);
  const resumed = new BatchFeeder(samplerAt(feeder.state), { read: rows }, wanted);
  for (let batch = 0; batch < 4; batch++) given.push([...(await resumed.next()).tiles]);
  expect(given).toEqual(expected);
});

it('reads ahead, and measures the time that callers wait', async () => {
  let reading = 0;
  const slow = async (refs: readonly TileRef[]): Promise<Uint8Array> => {
    reading++;
    await new Promise((resolve) => setTimeout(resolve, 40));
    return rows(refs);
  };
  const feeder = new BatchFeeder(samplerAt(), { read: slow }, wanted);
  await feeder.next();
  expect(reading).toBe(3);
  expect(feeder.waitedMs).toBeGreaterThan(30);
  const first = feeder.waitedMs;
  await new Promise((resolve) => setTimeout(resolve, 60)); // a step
  await feeder.next();
  expect(feeder.waitedMs - first).toBeLessThan(30);
});

it('fails at the batch that could not be read and no earlier', async () => {
  let reads = 0;
  const failing = (refs: readonly TileRef[]) => (++reads === 2 ? Promise.reject(new Error('disk on fire')) : rows(refs));
  const feeder = new BatchFeeder(samplerAt(), { read: failing }, wanted);
  await feeder.next();
  await expect(feeder.next()).rejects.toThrow('disk on fire');
});

it('hands out no erased utterance, even if its tiles were read already, and continues without a gap', async () => {
  const reads: (() => void)[] = [];
  const held = async (refs: readonly TileRef[]): Promise<Uint8Array> => {
    await new Promise<void>((resolve) => reads.push(resolve));
    return rows(refs);
  };
  const feeder = new BatchFeeder(samplerAt(), { read: held }, wanted);
  const first = feeder.next();
  const [erased = 0] = samplerAt()
    .nextBatch(wanted)
    .map(({ row }) => row);
  feeder.erase([`c/${erased}`]); // while the first batch, which has it, is being read
  const given: number[] = [];
  const release = setInterval(() => reads.splice(0).forEach((done) => done()), 1);
  given.push(...(await first).tiles);
  for (let batch = 0; batch < 8; batch++) given.push(...(await feeder.next()).tiles);
  clearInterval(release);
  expect(given).toHaveLength(45);
  expect(given).not.toContain(erased);
  expect(new Set(given).size).toBe(10);
});

it('draws the remaining utterances as if nothing had been erased', async () => {
  const plain = new BatchFeeder(samplerAt(), { read: rows }, wanted);
  const touched = new BatchFeeder(samplerAt(), { read: rows }, wanted);
  await plain.next();
  await touched.next();
  touched.erase(['c/none']);
  expect((await touched.next()).refs).toEqual((await plain.next()).refs);
});
