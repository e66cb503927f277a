/** The name under which a process of this machine holds a lease: of one that was killed, nobody needs to wait for it. */
import { hostname } from 'node:os';

export const processHolder = (): string => `${hostname()}:${process.pid}`;

/** @param holder as `processHolder` names it @returns false where it is on another machine */
export function hasEnded(holder: string): boolean {
  const [host, id] = holder.split(':');
  if (host !== hostname()) return false;
  try {
    return !process.kill(Number(id), 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
