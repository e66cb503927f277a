import { expect, it } from 'vitest';
import { RoundSchedule } from './round-schedule.js';

const index = (revision: number, digest = `d${revision}`, trainable = 10) => ({ revision, digest, trainable });

it('waits for quiet, and says what it waits for', () => {
  const schedule = new RoundSchedule({ quietMs: 1000, maxWaitMs: 60_000 });
  expect(schedule.decide(index(0, 'd', 0), 0)).toMatchObject({ start: false, because: expect.stringContaining('no tiles') as string });
  expect(schedule.decide(index(1), 100)).toMatchObject({ start: false, because: expect.stringContaining('quiet') as string });
  expect(schedule.decide(index(2), 1050)).toMatchObject({ start: false });
  expect(schedule.decide(index(2), 2050)).toEqual({ start: true });
});

it('does not let endless news keep a round from starting', () => {
  const schedule = new RoundSchedule({ quietMs: 1000, maxWaitMs: 5000 });
  for (let now = 0; now < 5000; now += 500) expect(schedule.decide(index(now), now)).toMatchObject({ start: false });
  expect(schedule.decide(index(5000), 5000)).toEqual({ start: true });
});

it('starts no round on what was trained on already, though the index has moved and moved back', () => {
  const schedule = new RoundSchedule({ quietMs: 10, maxWaitMs: 5000 });
  schedule.trained('d');
  expect(schedule.decide(index(7, 'd'), 60_000)).toMatchObject({ start: false, because: expect.stringContaining('nothing new') as string });
});
