import { describe, expect, it } from 'vitest';
import { StallJudge, type ConsumerSight, type PartitionSight } from './stall-judge.js';

const limits = { stallMs: 60_000, longestTakeMs: 30_000, outOfGroupMs: 90_000, gapMs: 40_000 };
const stepMs = 15_000;

/** Shows the judge observations 15 s apart. @returns its last finding */
function show(judge: StallJudge, times: number, sightAt: (nowMs: number, n: number) => ConsumerSight | null, startMs = 0): string | null {
  let said: string | null = null;
  for (let n = 0; n < times; n++) said = judge.observe(sightAt(startMs + n * stepMs, n), startMs + n * stepMs);
  return said;
}

const partition = (change: Partial<PartitionSight> = {}): PartitionSight => ({
  topic: 'utterances',
  partition: 2,
  position: 7n,
  end: 19n,
  state: 'waiting',
  attempt: 0,
  ...change,
});
const member = (nowMs: number, ...partitions: PartitionSight[]): ConsumerSight => ({ memberAtMs: nowMs, partitions });

describe('a consumer that takes nothing', () => {
  it('is stalled once records have waited long enough, and the finding gives their number and partition', () => {
    const judge = new StallJudge(limits);
    expect(show(judge, 4, (now) => member(now, partition()))).toBeNull();
    expect(show(judge, 1, (now) => member(now, partition()), 4 * stepMs)).toBe(
      'has taken nothing from utterances/2 for 60 s though 12 records wait',
    );
  });

  it('is not stalled without waiting records; its clock starts with the first one', () => {
    const judge = new StallJudge(limits);
    expect(show(judge, 20, (now) => member(now, partition({ end: 7n })))).toBeNull();
    expect(show(judge, 4, (now) => member(now, partition()), 20 * stepMs)).toBeNull();
    expect(show(judge, 1, (now) => member(now, partition()), 24 * stepMs)).toContain('taken nothing');
  });

  it('is not stalled while paused on purpose; its clock starts when the pause ends', () => {
    const judge = new StallJudge(limits);
    expect(show(judge, 20, (now) => member(now, partition({ state: 'excused' })))).toBeNull();
    expect(show(judge, 4, (now) => member(now, partition()), 20 * stepMs)).toBeNull();
    expect(show(judge, 1, (now) => member(now, partition()), 24 * stepMs)).toContain('taken nothing');
  });

  it('is not stalled while its record is retried', () => {
    expect(show(new StallJudge(limits), 20, (now, n) => member(now, partition({ attempt: n >> 1 })))).toBeNull();
  });

  it('is stalled even if another partition moves', () => {
    const sight = (now: number, n: number) => member(now, partition({ partition: 1, position: BigInt(n) }), partition());
    expect(show(new StallJudge(limits), 5, sight)).toContain('utterances/2');
  });

  it('is alive again once it takes a record', () => {
    const judge = new StallJudge(limits);
    expect(show(judge, 6, (now) => member(now, partition()))).not.toBeNull();
    expect(show(judge, 1, (now) => member(now, partition({ position: 8n })), 6 * stepMs)).toBeNull();
  });
});

describe('a record in hand', () => {
  it('may take as long as the longest record, and no longer', () => {
    const judge = new StallJudge(limits);
    expect(show(judge, 6, (now) => member(now, partition({ state: 'working' })))).toBeNull();
    expect(show(judge, 1, (now) => member(now, partition({ state: 'working' })), 6 * stepMs)).toBe(
      'has been working on record 7 of utterances/2 for 90 s',
    );
  });
});

describe('a consumer in no group', () => {
  it('is stalled after its time, with or without waiting records', () => {
    const judge = new StallJudge(limits);
    expect(show(judge, 6, () => ({ memberAtMs: null, partitions: [] }))).toBeNull();
    expect(show(judge, 1, () => ({ memberAtMs: null, partitions: [] }), 6 * stepMs)).toBe(
      'has been in no consumer group for 90 s though the broker answers',
    );
  });

  it('is alive if it is a member without partitions', () => {
    expect(show(new StallJudge(limits), 20, (now) => member(now))).toBeNull();
  });
});

describe('the judge finds nothing', () => {
  it('during an outage of the broker, and all clocks start again after it', () => {
    const judge = new StallJudge(limits);
    const stuck = (): ConsumerSight => ({ memberAtMs: 0, partitions: [partition(), partition({ partition: 3, state: 'working' })] });
    expect(show(judge, 4, stuck)).toBeNull();
    expect(show(judge, 20, () => null, 4 * stepMs)).toBeNull();
    expect(show(judge, 4, stuck, 24 * stepMs)).toBeNull();
    expect(show(judge, 1, stuck, 28 * stepMs)).toContain('taken nothing');
  });

  it('for the time in which the process itself was stopped', () => {
    const judge = new StallJudge(limits);
    const stuck = (): ConsumerSight => ({ memberAtMs: 0, partitions: [partition()] });
    expect(show(judge, 2, stuck)).toBeNull();
    expect(show(judge, 4, stuck, 600_000)).toBeNull();
    expect(show(judge, 1, stuck, 600_000 + 4 * stepMs)).toContain('taken nothing');
  });
});
