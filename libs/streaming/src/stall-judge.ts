/**
 * Decides whether a consumer has stalled: records wait, but it takes none. This is a known fault of the client, in which the process
 * lives, may even send heartbeats, and fetches nothing. The judge is pure: it gets observations with their time.
 *
 * Each clock starts with the first observation of a state. It starts again when the record, the try or the state changes, when the
 * broker did not answer, and when the process itself was stopped. So an outage of the broker or the store is never a stall, nor is
 * a record that has just come after an hour of silence.
 *
 * It does not promise to find a slow consumer: a consumer that takes a record now and then is not stalled.
 */

export interface PartitionSight {
  topic: string;
  partition: number;
  /** Offset of the record in hand, else of the next one to take. */
  position: bigint;
  /** One past the last record. */
  end: bigint;
  /** `excused`: paused on purpose, or retrying through an outage. */
  state: 'waiting' | 'working' | 'excused';
  /** Increases with each try of the same record. */
  attempt: number;
}

export interface ConsumerSight {
  /** Time of the last sign of membership in the group; null if there was none yet. */
  memberAtMs: number | null;
  partitions: PartitionSight[];
}

export interface StallLimits {
  /** Longest time that records may wait untaken. */
  stallMs: number;
  /** Longest time of one record in hand, beyond {@link stallMs}. */
  longestTakeMs: number;
  /** Longest time that a consumer may be in no group while the broker answers. */
  outOfGroupMs: number;
  /** Observations further apart than this say nothing about the time between them. */
  gapMs: number;
}

export class StallJudge {
  private readonly since = new Map<string, { seen: string; atMs: number }>();
  /** The time since which every observation had an answer of the broker. */
  private unbrokenSinceMs: number | null = null;
  private lastMs: number | null = null;

  constructor(private readonly limits: StallLimits) {}

  /**
   * @param sight null if the broker does not answer
   * @returns the reason why the consumer is stalled, or null
   */
  observe(sight: ConsumerSight | null, nowMs: number): string | null {
    const wasAway = this.lastMs !== null && nowMs - this.lastMs > this.limits.gapMs;
    this.lastMs = nowMs;
    if (sight === null || wasAway) {
      this.since.clear();
      this.unbrokenSinceMs = null;
    }
    if (sight === null) return null;
    this.unbrokenSinceMs ??= nowMs;
    return this.outOfGroup(sight, nowMs) ?? this.stuckPartition(sight, nowMs);
  }

  private outOfGroup({ memberAtMs }: ConsumerSight, nowMs: number): string | null {
    const outMs = nowMs - Math.max(memberAtMs ?? 0, this.unbrokenSinceMs ?? nowMs);
    return outMs < this.limits.outOfGroupMs ? null : `has been in no consumer group for ${inSeconds(outMs)} though the broker answers`;
  }

  private stuckPartition({ partitions }: ConsumerSight, nowMs: number): string | null {
    const { stallMs, longestTakeMs } = this.limits;
    const stillSeen = new Set<string>();
    let reason: string | null = null;
    for (const { topic, partition, position, end, state, attempt } of partitions) {
      if (state === 'excused' || position >= end) continue;
      const name = `${topic}/${partition}`;
      stillSeen.add(name);
      const ageMs = this.ageOf(name, `${state} ${position} ${attempt}`, nowMs);
      if (state === 'working' && ageMs >= stallMs + longestTakeMs) {
        reason ??= `has been working on record ${position} of ${name} for ${inSeconds(ageMs)}`;
      } else if (state === 'waiting' && ageMs >= stallMs) {
        reason ??= `has taken nothing from ${name} for ${inSeconds(ageMs)} though ${end - position} records wait`;
      }
    }
    for (const name of this.since.keys()) if (!stillSeen.has(name)) this.since.delete(name);
    return reason;
  }

  private ageOf(name: string, seen: string, nowMs: number): number {
    const known = this.since.get(name);
    if (known?.seen === seen) return nowMs - known.atMs;
    this.since.set(name, { seen, atMs: nowMs });
    return 0;
  }
}

const inSeconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
