/**
 * Whether a service is worth keeping alive. A process that answers may still have stopped working; those who can tell
 * add a check. A service that waits for its broker or its store is alive: a restart would help nobody.
 */
export class Liveness {
  private readonly checks: (() => string | null)[] = [];

  /** @param check returns why the process should be replaced, or null */
  watch(check: () => string | null): void {
    this.checks.push(check);
  }

  /** @returns null while alive, else why not */
  whyNot(): string | null {
    const reasons = this.checks.flatMap((check) => check() ?? []);
    return reasons.length > 0 ? reasons.join('; ') : null;
  }
}
