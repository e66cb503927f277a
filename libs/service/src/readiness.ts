/** What a service says of its health: alive always (a stuck process is restarted from outside), ready once started. */
export class Readiness {
  private reason: string | null = 'starting';

  ready(): void {
    this.reason = null;
  }

  notReady(reason: string): void {
    this.reason = reason;
  }

  /** @returns null when ready, else why not */
  whyNot(): string | null {
    return this.reason;
  }
}
