/** Asks each service four times a second whether it is alive, and looks at the memory of its processes: for how long was it down, how much did it take? */
import { readdirSync, readFileSync } from 'node:fs';
import type { Supervisor } from '#embedded/supervisor.js';

const everyMs = 250;
/** An answer that takes longer counts as none. */
const patienceMs = 3_000;
const pageBytes = 4_096;

export interface ServiceFigures {
  longestDownSec: number;
  restarts: number;
  /** Of its process and those that it started; null where the system does not tell. */
  peakMemoryMb: number | null;
}

interface Watched {
  url: string;
  /** Since when it has not answered; null while it does, and before it ever did. */
  downSinceMs: number | null;
  wasUp: boolean;
  longestDownMs: number;
  peakBytes: number;
  timer: NodeJS.Timeout;
}

export class ServiceWatch {
  private readonly services = new Map<string, Watched>();

  constructor(private readonly supervisor: Supervisor) {}

  watch(name: string, url: string): void {
    const watched: Watched = { url, downSinceMs: null, wasUp: false, longestDownMs: 0, peakBytes: 0, timer: setTimeout(() => undefined) };
    this.services.set(name, watched);
    const look = async (): Promise<void> => {
      await this.look(name, watched);
      watched.timer = setTimeout(() => void look(), everyMs);
    };
    void look();
  }

  stop(): void {
    for (const { timer } of this.services.values()) clearTimeout(timer);
  }

  get figures(): Record<string, ServiceFigures> {
    return Object.fromEntries(
      [...this.services].map(([name, { longestDownMs, downSinceMs, peakBytes }]) => {
        const downMs = Math.max(longestDownMs, downSinceMs === null ? 0 : Date.now() - downSinceMs);
        const restarts = this.supervisor.stateOf(name)?.restarts ?? 0;
        return [name, { longestDownSec: downMs / 1_000, restarts, peakMemoryMb: peakBytes > 0 ? Math.round(peakBytes / 1e6) : null }];
      }),
    );
  }

  private async look(name: string, watched: Watched): Promise<void> {
    const askedAtMs = Date.now();
    const answer = await fetch(`${watched.url}/health/live`, { signal: AbortSignal.timeout(patienceMs) }).catch(() => null);
    await answer?.arrayBuffer().catch(() => undefined);
    if (answer?.ok) {
      if (watched.downSinceMs !== null) watched.longestDownMs = Math.max(watched.longestDownMs, askedAtMs - watched.downSinceMs);
      watched.downSinceMs = null;
      watched.wasUp = true;
    } else if (watched.wasUp) watched.downSinceMs ??= askedAtMs;
    const pid = this.supervisor.stateOf(name)?.pid;
    if (pid !== undefined) watched.peakBytes = Math.max(watched.peakBytes, memoryOfGroup(pid));
  }
}

/** Each service leads a process group. @returns 0 where there is no /proc */
function memoryOfGroup(leader: number): number {
  let bytes = 0;
  try {
    for (const pid of readdirSync('/proc')) {
      if (!/^\d+$/.test(pid)) continue;
      bytes += residentOf(pid, leader);
    }
  } catch {
    return bytes;
  }
  return bytes;
}

function residentOf(pid: string, leader: number): number {
  try {
    // The name in brackets may hold spaces; after it come state, parent, group.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
    if (Number(fields[2]) !== leader) return 0;
    return Number(fields[21]) * pageBytes;
  } catch {
    return 0; // it has ended since
  }
}
