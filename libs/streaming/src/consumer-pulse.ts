/**
 * Observes a consumer of the client from outside: when the group last counted it as a member, its partitions, its position in
 * each, and when it last took a record.
 */
import type { Consumer } from 'kafkajs';

export interface AssignedPartition {
  topic: string;
  partition: number;
  /** Offset of the next record to take; null if none was taken since the partition was assigned. */
  position: bigint | null;
}

export class ConsumerPulse {
  /** Time by `performance.now()`, like all times here. */
  memberAtMs: number | null = null;
  readonly takenAtMs = new Map<string, number>();
  private assigned: { topic: string; partition: number }[] = [];
  private readonly positions = new Map<string, bigint>();

  /** @param keepsPositions true if the consumer continues at its position after a rejoin, whatever was committed */
  constructor(consumer: Consumer, { keepsPositions }: { keepsPositions: boolean }) {
    const { events } = consumer;
    consumer.on(events.HEARTBEAT, () => {
      this.memberAtMs = performance.now();
    });
    consumer.on(events.GROUP_JOIN, ({ payload: { memberAssignment } }) => {
      this.memberAtMs = performance.now();
      this.assigned = Object.entries(memberAssignment).flatMap(([topic, partitions]) =>
        partitions.map((partition) => ({ topic, partition })),
      );
      if (!keepsPositions) this.positions.clear();
    });
    consumer.on(events.END_BATCH_PROCESS, ({ payload: { topic, partition, batchSize, lastOffset } }) => {
      // Compaction or a transaction left no record here.
      if (batchSize === 0) this.reached(topic, partition, BigInt(lastOffset) + 1n);
    });
  }

  reached(topic: string, partition: number, nextOffset: bigint): void {
    this.positions.set(`${topic}/${partition}`, nextOffset);
    this.takenAtMs.set(topic, performance.now());
  }

  get partitions(): AssignedPartition[] {
    return this.assigned.map((place) => ({ ...place, position: this.positions.get(`${place.topic}/${place.partition}`) ?? null }));
  }
}
