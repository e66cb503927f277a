/**
 * Decides whether a service should be restarted. A process that answers may still have stopped working, so parts that can detect
 * this add a check. A service that waits for its broker or store counts as alive, because a restart would not help.
 */
export class Liveness {
  private readonly checks = new Map<string, () => string | null>();

  /** @param check returns the reason to restart the process, or null */
  watch(name: string, check: () => string | null): void {
    this.checks.set(name, check);
  }

  /** @returns for each check its name, and the reason to restart the process or null */
  findings(): [name: string, reason: string | null][] {
    return [...this.checks].map(([name, check]) => [name, check()]);
  }
}
