/** Starts the compute process and exchanges messages with it. If the process ends unexpectedly, the trainer ends too. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { TrainingView } from '#index/training-index.js';
import type { ComputeSetup, FromCompute, ToCompute } from './compute-messages.js';
import { ComputeRound } from './compute-round.js';
import { errorOf } from './process-failure.js';

export type ComputeReady = Extract<FromCompute, { type: 'ready' }>;
/** Events of a round, in order. */
export type RoundEvent = Exclude<FromCompute, { type: 'ready' | 'failed' | 'roundDone' }>;

interface Pending {
  resolve: (message: FromCompute) => void;
  reject: (error: unknown) => void;
}

export class ComputeClient {
  private readonly child: ChildProcess;
  private pending: Pending | undefined;
  private stopped = false;
  private rounds = 0;

  /** @param onEvent called for each event of a round, before the round resolves */
  constructor(
    private readonly onEvent: (event: RoundEvent) => void,
    private readonly onDeath: (error: Error) => void,
  ) {
    this.child = fork(fileURLToPath(new URL('./compute-process.js', import.meta.url)), { serialization: 'advanced' });
    this.child.on('message', (message) => this.receive(message as FromCompute));
    this.child.once('exit', (code, signal) => this.died(new Error(`the compute process ended (${signal ?? `exit code ${code}`})`)));
  }

  async setUp(setup: ComputeSetup): Promise<ComputeReady> {
    return (await this.ask({ type: 'setup', setup })) as ComputeReady;
  }

  /** Makes a round on this view, to be requested later. */
  takeRound(view: TrainingView): ComputeRound {
    const send = (message: ToCompute): void => void this.child.send(message);
    return new ComputeRound(++this.rounds, view, { ask: (message) => this.ask(message), send });
  }

  /** Ends the process. A running round stops, and later continues from its last checkpoint. */
  stop(): void {
    this.stopped = true;
    this.child.kill('SIGKILL');
  }

  private ask(message: ToCompute): Promise<FromCompute> {
    return new Promise((resolve, reject) => {
      this.pending = { resolve, reject };
      this.child.send(message);
    });
  }

  private receive(message: FromCompute): void {
    if (message.type === 'failed') return this.pending?.reject(errorOf(message));
    if (message.type === 'ready' || message.type === 'roundDone') return this.pending?.resolve(message);
    this.onEvent(message);
  }

  private died(error: Error): void {
    if (this.stopped) return;
    this.pending?.reject(error);
    this.onDeath(error);
  }
}
