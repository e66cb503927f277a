/** The parent's handle of a worker process that runs jobs. The worker never outlives its parent. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PipelineError } from '#contracts/pipeline-error.js';
import type { FromWorker, ToWorker, WorkerSetup } from './worker-messages.js';

interface Surroundings {
  /** The worker's environment. Default: the environment of this process. */
  environment?: Record<string, string | undefined>;
  /** Aborting ends the worker. */
  stop?: AbortSignal;
}

type Answer = FromWorker | { type: 'ended'; how: string };

export class JobWorker {
  private readonly child: ChildProcess;

  constructor({ environment, stop }: Surroundings) {
    // The compiled file lies beside this module.
    this.child = fork(fileURLToPath(new URL('./job-process.js', import.meta.url)), { env: environment });
    stop?.addEventListener('abort', () => this.end(), { once: true });
  }

  /** @throws PipelineError SETUP_FAILED with the worker's reason, if it cannot start */
  static async start(setup: WorkerSetup, surroundings: Surroundings): Promise<JobWorker> {
    const worker = new JobWorker(surroundings);
    const answer = await worker.ask({ type: 'setup', setup });
    if (answer.type === 'ready' || surroundings.stop?.aborted) return worker;
    worker.end();
    const why = answer.type === 'failed' ? answer.message : answer.type === 'ended' ? answer.how : answer.type;
    throw new PipelineError('SETUP_FAILED', `The job process could not start: ${why}`);
  }

  /** @returns the first answer that is not a progress message, or `ended` when the process ends */
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
