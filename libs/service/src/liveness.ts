/**
 * Whether a service is worth keeping alive. A process that answers may still have stopped working; those who can tell
 * add a check. A service that waits for its broker or its store is alive: a restart would help nobody.
 */
export class Liveness {
  private readonly checks = new Map<string, () => string | null>();

  /** @param check returns why the process should be replaced, or null */
  watch(name: string, check: () => string | null): void {
    this.checks.set(name, check);
  }

  /** @returns by the name of each check null while it finds nothing, else why the process should be replaced */
  findings(): [name: string, reason: string | null][] {
    return [...this.checks].map(([name, check]) => [name, check()]);
  }
}
