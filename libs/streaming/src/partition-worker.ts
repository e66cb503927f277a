/** What takes the records of one partition, and what it is given. */
import type { RecordOrigin } from './dead-letter-office.js';
import type { RecordHeaders } from './trace-headers.js';

export interface StreamRecord<Fact> {
  key: string | null;
  /** Null: a tombstone. */
  fact: Fact | null;
  origin: RecordOrigin;
  headers?: RecordHeaders | undefined;
}

export interface PartitionWorker<Fact> {
  /**
   * Takes one record; the next comes when this resolves. Effects may become durable later: until `settle` is called
   * with the record's offset, it is not committed. A thrown error decides the record's fate (failure.ts); the worker must be as
   * it was before the record then, because the record may be tried again with it.
   */
  take(record: StreamRecord<Fact>): Promise<void>;
  /** The partition may belong to another now: forget what is held, settle nothing more. */
  abandon(): void;
  /** The process is asked to stop: finish what is held, if that is quick. */
  drain(): Promise<void>;
  /** Whether it waits for something that is away and is being tried again: then a `take` that lasts is no stall. */
  readonly isHeldUp?: boolean;
}

export interface WorkerContext {
  partition: number;
  settle: (offset: string) => void;
  /** For errors outside `take` (timers): no record is to blame, and the process ends. */
  crash: (error: unknown) => void;
}
