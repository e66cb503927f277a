/** Faults of the networks between a service and the broker or the store. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChaosWorld, serviceNames } from './chaos-world.js';
import type { Fault } from './fault.js';
import type { SeededRandom } from './seeded-random.js';
import { directions, type TcpProxy } from './tcp-proxy.js';

type Trouble = (proxy: TcpProxy, random: SeededRandom) => Promise<void>;

const troubles: Record<string, Trouble> = {
  slow: async (proxy, random) => {
    for (const direction of directions) if (random.chance(0.7)) proxy.weather[direction].latencyMs = random.between(20, 300);
    await sleep(random.between(3_000, 10_000));
  },
  thin: async (proxy, random) => {
    proxy.weather[random.pick(directions)].bytesPerSec = random.between(10_000, 100_000);
    await sleep(random.between(3_000, 10_000));
  },
  stalled: async (proxy, random) => {
    proxy.weather[random.pick(directions)].stalled = true;
    await sleep(random.between(3_000, 14_000));
  },
  cut: async (proxy, random) => {
    proxy.cut();
    await sleep(random.between(100, 1_000));
    proxy.cut();
  },
  'cut and refused': async (proxy, random) => {
    proxy.isRefusing = true;
    proxy.cut();
    await sleep(random.between(1_000, 8_000));
  },
};

export function networkFaults(world: ChaosWorld): Fault[] {
  return (['kafka', 's3'] as const).flatMap((network) =>
    Object.entries(troubles).map(([trouble, strike]) => ({
      kind: `${network} ${trouble}`,
      strike: async (random: SeededRandom) => {
        const proxy = world.networks.get(random.pick(serviceNames))?.[network];
        if (!proxy) return false;
        await strike(proxy, random).finally(() => proxy.clear());
        return true;
      },
    })),
  );
}
