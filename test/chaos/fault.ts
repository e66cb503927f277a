/** Faults, and how they are dealt: each kind once, in an order of the seed's, then all again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChaosWorld, ServiceName } from './chaos-world.js';
import { SeededRandom } from './seeded-random.js';

export interface Fault {
  kind: string;
  /** Resolves when it is over. @returns whether it happened */
  strike: (random: SeededRandom) => Promise<boolean>;
  /** Whose recovery is waited for, up to a limit: a fault on top of a fault at the very same place would leave no time to progress. */
  after?: ServiceName;
}

export interface DealtFaults {
  seed: number;
  lane: string;
  /** Between one fault and the next. */
  pauseMs: readonly [number, number];
  signal: AbortSignal;
  /** How often each kind is dealt; without an end when not given. */
  deals?: number | undefined;
  onFault: (kind: string) => void;
}

const recoveryLimitMs = 30_000;

/** One fault after another until the signal, or until all are dealt; resolves when the last is over. */
export async function dealFaults(world: ChaosWorld, faults: readonly Fault[], options: DealtFaults): Promise<void> {
  const { seed, lane, pauseMs, signal, deals = Infinity, onFault } = options;
  for (let deal = 0; deal < deals && !signal.aborted; deal++) {
    const random = new SeededRandom(seed, `${lane} ${deal}`);
    for (const fault of random.shuffled(faults)) {
      await sleep(random.between(...pauseMs), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const draws = new SeededRandom(seed, `${lane} ${deal} ${fault.kind}`);
      for (let attempt = 0; attempt < 3 && !signal.aborted; attempt++) {
        if (await fault.strike(draws)) {
          onFault(fault.kind);
          break;
        }
        await sleep(1_000);
      }
      if (fault.after) await recovered(world, fault.after, signal);
    }
  }
}

async function recovered(world: ChaosWorld, service: ServiceName, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + recoveryLimitMs;
  await sleep(500);
  while (!signal.aborted && Date.now() < deadline && !(await world.isReady(service))) await sleep(250);
}
