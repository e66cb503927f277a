/**
 * Collects the objects that `replay` tries again, from dead letters one at a time.
 *
 * Memory: a digest for each open letter, and the key of each object. It keeps nothing of the letters' records.
 */
import { deadLetters, type DeadLetter } from '#contracts/dead-letters.js';
import { letterDigest } from '#overview/letter-tally.js';
import type { PipelineOverview } from '#overview/pipeline-overview.js';
import { TableFollower } from '#streaming/table-follower.js';
import { quietLogger, type Connections } from './connect.js';

export interface ReplayOptions {
  /** Take only letters with this code. */
  code?: string | undefined;
  /** Called once for each planned letter. */
  onLetter?: ((letter: DeadLetter) => void) | undefined;
}

export class ReplayPlan {
  /** Number of distinct letters. */
  letters = 0;
  private readonly seen = new Set<string>();
  private readonly traceparents = new Map<string, string | undefined>();

  constructor(
    private readonly overview: Pick<PipelineOverview, 'isOpen'>,
    private readonly options: ReplayOptions = {},
  ) {}

  take(letter: DeadLetter): void {
    const { code, onLetter } = this.options;
    if ((code !== undefined && letter.code !== code) || !this.overview.isOpen(letter)) return;
    if (letter.objectKey !== undefined) this.traceparents.set(letter.objectKey, letter.traceparent);
    const digest = letterDigest(letter);
    if (this.seen.has(digest)) return;
    this.seen.add(digest);
    this.letters++;
    onLetter?.(letter);
  }

  /** Keys of the objects, sorted. */
  get keys(): string[] {
    return [...this.traceparents.keys()].sort();
  }

  /** The trace of the newest letter about the object. */
  traceparentOf(objectKey: string): string | undefined {
    return this.traceparents.get(objectKey);
  }
}

/** Reads the topic of dead letters once, from its first record. */
export async function planReplay({ kafka, topicPrefix }: Connections, plan: ReplayPlan): Promise<void> {
  const follower = new TableFollower(kafka, topicPrefix, 'cli', quietLogger).on(deadLetters, (_key, letter) => {
    if (letter) plan.take(letter);
  });
  try {
    await follower.start();
  } finally {
    await follower.stop();
  }
}
