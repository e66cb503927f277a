/** Records that are sent past every schema. */
export interface RawRecord {
  key: string | null;
  value: Buffer | null;
}
/** Where the first record of a batch stands. */
export interface Sent {
  topic: string;
  partition: number;
  offset: bigint;
}
