/**
 * Polls a child's health URL, like a liveness probe of Kubernetes. Several failures in a row report the child as dead. Counting
 * starts after the first good answer, so a slow start is no failure.
 */
export interface HealthPollOptions {
  everyMs?: number;
  /** Longest wait for an answer. Default: half of `everyMs`. */
  timeoutMs?: number;
  failuresInARow?: number;
}

export class HealthPoll {
  private readonly timer: NodeJS.Timeout;
  private failures = 0;
  private hasLived = false;
  private asking = false;

  /** @param onDead called once, with the child's last answer */
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
    const problem = await problemAt(this.url, this.options.timeoutMs ?? this.everyMs / 2);
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
