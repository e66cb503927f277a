/**
 * Whether a service is ready: once it has started. Whether it is alive is another matter (liveness.ts).
 * Starting goes on in the background, so that a service answers, and can be stopped, while it waits for its broker.
 */
import { crashProcess } from './crash-process.js';

export class Readiness {
  private reason: string | null = 'starting';
  private isStopping = false;

  /** Ready when `start` resolves; an error ends the process, unless it was being stopped anyway. */
  startInBackground(start: () => Promise<void>): void {
    start().then(
      () => {
        if (!this.isStopping) this.reason = null;
      },
      (error: unknown) => {
        if (!this.isStopping) crashProcess(error);
      },
    );
  }

  stopping(): void {
    this.isStopping = true;
    this.reason = 'stopping';
  }

  /** @returns null when ready, else why not */
  whyNot(): string | null {
    return this.reason;
  }
}
