/**
 * One round as the trainer sees it, from taking the view until the compute process has finished. An erasure in that time reaches
 * this round only. Before the request it travels with the request; afterwards its message names the round.
 */
import type { TrainingView } from '#index/training-index.js';
import type { FromCompute, ToCompute } from './compute-messages.js';

export type RoundDone = Extract<FromCompute, { type: 'roundDone' }>;
type RoundRequest = Extract<ToCompute, { type: 'round' }>;

export class ComputeRound {
  private state: 'taken' | 'asked' | 'over' = 'taken';
  private readonly erased: string[] = [];

  constructor(
    private readonly id: number,
    private readonly view: TrainingView,
    private readonly compute: { ask: (message: RoundRequest) => Promise<FromCompute>; send: (message: ToCompute) => void },
  ) {}

  /** Drops utterances that changed since the view from all further batches. */
  erase(utteranceIds: string[]): void {
    if (this.state === 'taken') this.erased.push(...utteranceIds);
    else if (this.state === 'asked') this.compute.send({ type: 'erase', roundId: this.id, utteranceIds });
  }

  /**
   * @param asked utterances about which `roundStarted` says if this round is the first to have them
   * @returns false if there was nothing to train on
   */
  async run(asked: string[]): Promise<boolean> {
    this.state = 'asked';
    try {
      const done = await this.compute.ask({ type: 'round', id: this.id, view: this.view, asked, erased: [...this.erased] });
      return (done as RoundDone).trained;
    } finally {
      this.state = 'over';
    }
  }
}
