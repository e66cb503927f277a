/** A child process that does jobs, as the one that hands them out sees it. It never outlives that one. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { FromWorker, ToWorker, WorkerSetup } from './worker-messages.js';

interface Surroundings {
  /** Of the child; this process's if not given. */
  environment?: Record<string, string | undefined>;
  /** Ends the child. */
  stop?: AbortSignal;
}

type Answer = FromWorker | { type: 'ended'; how: string };

export class JobWorker {
  private readonly child: ChildProcess;

  constructor({ environment, stop }: Surroundings) {
    // Beside this module, as it runs: compiled.
    this.child = fork(fileURLToPath(new URL('./job-process.js', import.meta.url)), { env: environment });
    stop?.addEventListener('abort', () => this.end(), { once: true });
  }

  /** @throws PipelineError, what it says if it cannot begin */
  static async start(setup: WorkerSetup, surroundings: Surroundings): Promise<JobWorker> {
    const worker = new JobWorker(surroundings);
    const answer = await worker.ask({ type: 'setup', setup });
    if (answer.type === 'ready' || surroundings.stop?.aborted) return worker;
    worker.end();
    const why = answer.type === 'failed' ? answer.message : answer.type === 'ended' ? answer.how : answer.type;
    throw new PipelineError('SETUP_FAILED', `No job can be done: ${why}`);
  }

  /** @returns the first answer that is no progress, or that the process ended */
  ask(message: ToWorker, onMessage: (message: FromWorker) => void = () => undefined): Promise<Answer> {
    return new Promise((resolve) => {
      const settle = (answer: Answer): void => {
        this.child.off('message', hear).off('exit', ended);
        resolve(answer);
      };
      const hear = (answer: FromWorker): void => {
        onMessage(answer);
        if (answer.type !== 'progress') settle(answer);
      };
      const ended = (code: number | null, signal: string | null): void =>
        settle({ type: 'ended', how: `its process ended with ${signal ?? code}` });
      this.child.on('message', hear).on('exit', ended);
      this.child.send(message, (error) => error && ended(this.child.exitCode, this.child.signalCode));
    });
  }

  end(): void {
    this.child.kill('SIGTERM');
  }
}
