/** Deals faults: each kind once, in an order that the seed gives, then all kinds again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChaosWorld, ServiceName } from './chaos-world.js';
import { SeededRandom } from './seeded-random.js';

export interface Fault {
  kind: string;
  /** Resolves when the fault is over. @returns true if it happened */
  strike: (random: SeededRandom) => Promise<boolean>;
  /** The target whose recovery is awaited, up to a limit. Two faults in a row on one target would leave no time for progress. */
  after?: ServiceName;
}

export interface DealtFaults {
  seed: number;
  lane: string;
  /** The pause between two faults. */
  pauseMs: readonly [number, number];
  signal: AbortSignal;
  /** The number of times each kind is dealt; unlimited if not given. */
  deals?: number | undefined;
  onFault: (kind: string) => void;
}

const recoveryLimitMs = 30_000;

/** Deals one fault after another until the signal, or until all are dealt. Resolves when the last is over. */
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
