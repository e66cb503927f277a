/**
 * AudioMemory divides `AUDIO_MEMORY_MB` among the four things that features holds: files that are being read, files that are being
 * decoded, tiles of open shards, and shards that are being stored. Each has a share of its own, so that none can starve another.
 *
 * A file that needs more than its share is taken alone. Open shards are sealed early then, and their share lends what is missing.
 * A file that needs more than this is refused. So the sum stays within the limit.
 *
 * It does not promise the limit to the byte: see `estimateMemory` and TileMemory.
 */
import { PipelineError } from '#contracts/pipeline-error.js';
import { MemoryBudget, TileMemory } from './memory-budget.js';

const READING_SHARE = 0.125;
const STORING_SHARE = 0.125;
const HOLDING_SHARE = 0.5;
const DECODING_SHARE = 1 - READING_SHARE - STORING_SHARE - HOLDING_SHARE;

export class AudioMemory {
  /** Memory for the tiles of shards that are open, or closed and not yet a file. */
  readonly holding: TileMemory;
  /** Memory for the bytes of shards, until they are stored. */
  readonly storing: MemoryBudget;
  /** A shard with more bytes of tiles is due. */
  readonly largestShardBytes: number;
  private readonly reading: MemoryBudget;
  private readonly decoding: MemoryBudget;

  constructor(private readonly totalBytes: number) {
    this.largestShardBytes = totalBytes * STORING_SHARE;
    this.holding = new TileMemory(totalBytes * HOLDING_SHARE);
    this.storing = new MemoryBudget(totalBytes * STORING_SHARE);
    this.reading = new MemoryBudget(totalBytes * READING_SHARE);
    this.decoding = new MemoryBudget(totalBytes * DECODING_SHARE);
  }

  /** Number of files that wait for memory to be decoded. */
  get waitingCount(): number {
    return this.decoding.waitingCount;
  }

  /** Lends memory for the bytes of a file, from before it is read until it is tiles. @throws AUDIO_TOO_LARGE */
  async read<Result>(fileBytes: number, work: () => Promise<Result>): Promise<Result> {
    const missing = this.missingToRead(fileBytes);
    this.requireRoom(missing, fileBytes);
    return this.reading.use(fileBytes, () => this.holding.lend(missing, work));
  }

  /** Lends memory for all that decoding needs beside the bytes of the file. @throws AUDIO_TOO_LARGE */
  async decode<Result>(bytes: number, fileBytes: number, work: () => Promise<Result>): Promise<Result> {
    const missing = Math.max(0, bytes - this.totalBytes * DECODING_SHARE);
    this.requireRoom(missing + this.missingToRead(fileBytes), bytes + fileBytes);
    return this.holding.lend(missing, () => this.decoding.use(bytes, work));
  }

  private missingToRead(fileBytes: number): number {
    return Math.max(0, fileBytes - this.totalBytes * READING_SHARE);
  }

  private requireRoom(missing: number, neededBytes: number): void {
    if (missing <= this.totalBytes * HOLDING_SHARE) return;
    throw new PipelineError(
      'AUDIO_TOO_LARGE',
      `Decoding the file takes ${megabytes(neededBytes)} of memory, more than AUDIO_MEMORY_MB (${megabytes(this.totalBytes)}) lends to one file. Raise AUDIO_MEMORY_MB and replay, or put the recording again with a lower rate or in parts.`,
      { context: { neededBytes, memoryBytes: this.totalBytes } },
    );
  }
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;
