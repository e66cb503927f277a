/**
 * Runs a consumer of the client, and runs it again when the client has given up because no broker could be reached. So an outage
 * does not end the process.
 *
 * The client restarts a consumer by itself only after errors that it calls retriable. Observed with 2.2.4: a connection that is lost
 * during the join of the group causes an error that it does not call retriable.
 *
 * Delivery: each run begins with a join. The caller treats it like the join after a rebalance.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Consumer } from 'kafkajs';
import type { Logger } from '#service/logger.js';
import { explainRefusal } from './kafka-client.js';
import { fateOf, retrying } from './retry.js';

export interface ThroughOutages {
  /** Calls `consumer.run`. */
  run: () => Promise<void>;
  /** Ends the retries when the caller stops. */
  stopped: AbortSignal;
  /** Called for an error that no waiting can mend. */
  onFatal: (error: unknown) => void;
  logger: Logger;
}

const pauseMs = 500;

/** Resolves when the client has begun to run; later errors go to `onFatal`. The consumer must be connected and subscribed. */
export async function runThroughOutages(consumer: Consumer, { run, stopped, onFatal, logger }: ThroughOutages): Promise<void> {
  const runAgain = async (): Promise<void> => {
    await sleep(pauseMs, undefined, { signal: stopped }).catch(() => undefined);
    if (stopped.aborted) return;
    await retrying(() => consumer.connect(), { signal: stopped });
    if (!stopped.aborted) await run();
  };
  consumer.on(consumer.events.CRASH, ({ payload: { error, restart, groupId } }) => {
    if (restart || stopped.aborted) return;
    if (fateOf(error) !== 'retryable') return onFatal(explainRefusal(error));
    logger.warn({ groupId, err: error }, 'the broker cannot be reached; restarting the consumer');
    runAgain().catch((failure: unknown) => {
      if (!stopped.aborted) onFatal(failure);
    });
  });
  await run();
}
