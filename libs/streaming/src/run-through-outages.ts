/**
 * Runs a consumer of the client's, and runs it again whenever the client has given up on it because no broker could be
 * reached just then: an outage is waited for, it does not end the process.
 *
 * The client begins anew by itself after what it calls retriable. Seen with 2.2.4: a connection that is lost in the moment
 * when the group is joined surfaces as an error that it does not.
 *
 * Delivery: each run begins with a join, as after a rebalance; what the caller does then, it does here.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Consumer } from 'kafkajs';
import type { Logger } from '#service/logger.js';
import { explainRefusal } from './kafka-client.js';
import { fateOf, retrying } from './retry.js';

export interface ThroughOutages {
  /** Calls `consumer.run`. */
  run: () => Promise<void>;
  /** Ends the tries, once the caller stops. */
  stopped: AbortSignal;
  /** Hears of what no waiting mends. */
  onFatal: (error: unknown) => void;
  logger: Logger;
}

const pauseMs = 500;

/** Resolves when the client has begun to run; what comes later is told to `onFatal`. The consumer is connected and subscribed. */
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
    logger.warn({ groupId, err: error }, 'the broker is away; the consumer begins anew');
    runAgain().catch((failure: unknown) => {
      if (!stopped.aborted) onFatal(failure);
    });
  });
  await run();
}
