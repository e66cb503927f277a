import { expect, it } from 'vitest';
import { RoundSchedule } from './round-schedule.js';

const index = (revision: number, { digest = `d${revision}`, trainable = 10, changes = revision } = {}) => ({
  revision,
  digest,
  trainable,
  changes,
});
const options = { quietMs: 1000, maxWaitMs: 60_000, minNew: 1, everyMs: null };
const because = (reason: string) => ({ start: false, because: expect.stringContaining(reason) as string });

it('waits for quiet, and gives the reason', () => {
  const schedule = new RoundSchedule(options);
  expect(schedule.decide(index(0, { trainable: 0 }), 0)).toMatchObject(because('no tiles'));
  expect(schedule.decide(index(1), 100)).toMatchObject(because('quiet'));
  expect(schedule.decide(index(2), 1050)).toMatchObject({ start: false });
  expect(schedule.decide(index(2), 2050)).toEqual({ start: true });
});

it('starts a round despite endless news', () => {
  const schedule = new RoundSchedule({ ...options, maxWaitMs: 5000 });
  for (let now = 0; now < 5000; now += 500) expect(schedule.decide(index(now), now)).toMatchObject({ start: false });
  expect(schedule.decide(index(5000), 5000)).toEqual({ start: true });
});

it('starts no round on a view that was trained on already, even if the index changed and changed back', () => {
  const schedule = new RoundSchedule({ ...options, quietMs: 10, maxWaitMs: 5000 });
  schedule.trained('d', { nowMs: 0 });
  expect(schedule.decide(index(7, { digest: 'd' }), 60_000)).toMatchObject(because('nothing new'));
});

it('counts the utterances that no round has had yet', () => {
  const schedule = new RoundSchedule({ ...options, quietMs: 10 });
  schedule.decide(index(1, { changes: 3 }), 0);
  expect(schedule.news).toBe(3);
  schedule.trained('d1', { nowMs: 30 });
  schedule.decide(index(1, { changes: 3 }), 40);
  expect(schedule.news).toBe(0);
  schedule.decide(index(2, { changes: 8 }), 50);
  expect(schedule.news).toBe(5);
  // An utterance that came and went again is no news.
  schedule.decide(index(3, { changes: 9, digest: 'd1' }), 60);
  expect(schedule.news).toBe(0);
});

it('waits for enough new utterances, counted from the last round', () => {
  const schedule = new RoundSchedule({ ...options, quietMs: 10, minNew: 20 });
  expect(schedule.decide(index(1, { changes: 3 }), 0)).toMatchObject({ start: false });
  expect(schedule.decide(index(1, { changes: 3 }), 20), 'the first round needs no minimum').toEqual({ start: true });
  schedule.trained('d1', { nowMs: 30 });
  expect(schedule.decide(index(2, { changes: 22 }), 40)).toMatchObject(because('19 of 20'));
  expect(schedule.decide(index(3, { changes: 23 }), 50)).toMatchObject(because('quiet'));
  expect(schedule.decide(index(3, { changes: 23 }), 70)).toEqual({ start: true });
});

it('starts by the clock even with nothing new, but never on a refused view', () => {
  const schedule = new RoundSchedule({ ...options, everyMs: 10_000 });
  schedule.trained('d1', { nowMs: 0 });
  expect(schedule.decide(index(1), 9_000)).toMatchObject(because('starts in 1 s'));
  expect(schedule.decide(index(1), 10_000)).toEqual({ start: true });
  schedule.trained('d1', { nowMs: 10_000, refused: 'SPEAKER_LEAK: s is in two splits' });
  expect(schedule.decide(index(1), 30_000)).toMatchObject(because('SPEAKER_LEAK'));
  expect(schedule.decide(index(2), 31_000)).toEqual({ start: true });
});
