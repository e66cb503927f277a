/** The interface of a worker, which takes the records of one partition. */
import type { RecordOrigin } from './dead-letter-office.js';
import type { RecordHeaders } from './trace-headers.js';

export interface StreamRecord<Fact> {
  key: string | null;
  /** The parsed fact; null is a tombstone. */
  fact: Fact | null;
  origin: RecordOrigin;
  headers?: RecordHeaders | undefined;
}

export interface PartitionWorker<Fact> {
  /**
   * Takes one record; the next comes when this resolves. Effects may become durable later: the offset is committed only after the
   * worker calls `settle` with it. A thrown error decides the record's fate (failure.ts). The worker must then be in the state before
   * the record, because the record may be tried again.
   */
  take(record: StreamRecord<Fact>): Promise<void>;
  /** Drops all held records and settles nothing more, because the partition may belong to another member now. */
  abandon(): void;
  /** Finishes the held records if that is quick, because the process is stopping. */
  drain(): Promise<void>;
  /** @returns true while the worker waits for an outage to end; a long `take` is then no stall */
  readonly isHeldUp?: boolean;
}

export interface WorkerContext {
  partition: number;
  settle: (offset: string) => void;
  /** Reports an error outside `take`, for example of a timer. No record is to blame, and the process ends. */
  crash: (error: unknown) => void;
}
