/** Names a process of this machine as the holder of a lease, so that nobody waits for the lease of a killed process. */
import { hostname } from 'node:os';

export const processHolder = (): string => `${hostname()}:${process.pid}`;

/** @param holder a name by `processHolder` @returns true if that process has ended; false if it runs on another machine */
export function hasEnded(holder: string): boolean {
  const [host, id] = holder.split(':');
  if (host !== hostname()) return false;
  try {
    return !process.kill(Number(id), 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
