/**
 * Asks a child whether it is alive, as Kubernetes would: several failures in a row, and it is to be replaced. Counting
 * begins with the first good answer, so that a start may take as long as it takes.
 */
export interface HealthPollOptions {
  everyMs?: number;
  failuresInARow?: number;
}

export class HealthPoll {
  private readonly timer: NodeJS.Timeout;
  private failures = 0;
  private hasLived = false;
  private asking = false;

  /** @param onDead called once, with what the child said of itself */
  constructor(
    private readonly url: string,
    private readonly onDead: (why: string) => void,
    private readonly options: HealthPollOptions = {},
  ) {
    this.timer = setInterval(() => void this.ask(), this.everyMs);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private get everyMs(): number {
    return this.options.everyMs ?? 10_000;
  }

  private async ask(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    const problem = await problemAt(this.url, this.everyMs / 2);
    this.asking = false;
    if (problem === null) {
      this.hasLived = true;
      this.failures = 0;
    } else if (this.hasLived && ++this.failures === (this.options.failuresInARow ?? 3)) {
      this.stop();
      this.onDead(problem);
    }
  }
}

/** @returns null if the answer is good */
async function problemAt(url: string, timeoutMs: number): Promise<string | null> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    return answer.ok ? null : `${answer.status} ${await answer.text()}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
