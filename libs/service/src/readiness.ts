/**
 * Tells whether a service has started; liveness.ts tells whether it is alive. The start runs in the background, so that a service
 * answers, and can be stopped, while it waits for its broker.
 */
import { crashProcess } from './crash-process.js';

export class Readiness {
  private reason: string | null = 'starting';
  private isStopping = false;

  /** The service is ready when `start` resolves. An error ends the process, unless the process is stopping. */
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

  /** @returns null if the service is ready, else the reason */
  whyNot(): string | null {
    return this.reason;
  }
}
