/**
 * Records on disk the processes that a stack started, so that the next start can end those that a `kill -9` left running.
 *
 * First, the kernel helps: on Linux `setpriv --pdeathsig TERM` starts each child, so the child gets SIGTERM when its parent dies
 * in any way. This record covers systems without setpriv, and children that end slowly. It identifies a process by its id and
 * its start time, so that a process that reuses the id of a dead one is never touched.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError } from '#contracts/pipeline-error.js';
import { isAlive } from './cache-directory.js';
import { findOnPath } from './run-command.js';

interface RecordedProcess {
  name: string;
  pid: number;
  startedAt: string;
}

interface RecordFile {
  owner: RecordedProcess;
  children: RecordedProcess[];
}

export class ProcessRecord {
  private children: RecordedProcess[] = [];

  /** @param onWarning called if the record is not writable; without it, this is an error */
  constructor(
    private readonly file: string,
    private readonly onWarning?: (warning: string) => void,
  ) {}

  /**
   * Ends the processes that a dead owner left running, and returns their names.
   * @throws PipelineError `SETUP_FAILED` if the owner is alive, because two stacks must not share a folder.
   */
  async endLeftovers(graceMs = 10_000): Promise<string[]> {
    const record = this.read();
    if (!record) return [];
    const owned = record.owner.pid !== process.pid && isSame(record.owner);
    const leftovers = record.children.filter(isSame);
    if (owned && leftovers.length > 0) {
      throw new PipelineError(
        'SETUP_FAILED',
        `${dirname(this.file)} is in use by process ${record.owner.pid}: stop that process first, or set UNDERTONE_HOME to another folder`,
      );
    }
    for (const leftover of leftovers) signal(leftover.pid, 'SIGTERM');
    const deadline = Date.now() + graceMs;
    while (leftovers.some(isSame) && Date.now() < deadline) await sleep(50);
    for (const leftover of leftovers.filter(isSame)) signal(leftover.pid, 'SIGKILL');
    while (leftovers.some(isSame) && Date.now() < deadline + 5_000) await sleep(20);
    rmSync(this.file, { force: true });
    return leftovers.map((leftover) => leftover.name);
  }

  add(name: string, pid: number | undefined): void {
    if (pid === undefined) return;
    this.children = [...this.children.filter((child) => child.name !== name), { name, pid, startedAt: startTimeOf(pid) ?? '' }];
    this.write();
  }

  remove(name: string): void {
    this.children = this.children.filter((child) => child.name !== name);
    if (this.children.length > 0) this.write();
    else rmSync(this.file, { force: true });
  }

  private read(): RecordFile | undefined {
    try {
      return JSON.parse(readFileSync(this.file, 'utf8')) as RecordFile;
    } catch {
      return undefined; // no record, or a crash cut it off: only the kernel's signal helps then
    }
  }

  private write(): void {
    const owner = { name: 'owner', pid: process.pid, startedAt: startTimeOf(process.pid) ?? '' };
    const record: RecordFile = { owner, children: this.children };
    try {
      mkdirSync(dirname(this.file), { recursive: true });
      writeFileSync(`${this.file}.part`, `${JSON.stringify(record, null, 2)}\n`);
      renameSync(`${this.file}.part`, this.file);
    } catch (error) {
      if (!this.onWarning) throw error;
      const consequence = 'After a kill -9 of this process the next start may not find the processes that it left running.';
      this.onWarning(`${this.file} is not writable (${(error as Error).message}). ${consequence}`);
    }
  }
}

/**
 * Wraps `command` so that it gets SIGTERM when this process dies, also by kill -9. The process id stays the same, because setpriv
 * replaces itself by the command. Without setpriv (not on Linux) the command is returned unchanged.
 */
export function dyingWithParent(command: string, args: string[]): { command: string; args: string[] } {
  const setpriv = process.platform === 'linux' ? findOnPath('setpriv') : undefined;
  return setpriv ? { command: setpriv, args: ['--pdeathsig', 'TERM', '--', command, ...args] } : { command, args };
}

function isSame(recorded: RecordedProcess): boolean {
  return isAlive(recorded.pid) && startTimeOf(recorded.pid) === recorded.startedAt;
}

/** Start time of a process: clock ticks since boot on Linux, `ps`'s date elsewhere; undefined if it is gone or a zombie. */
function startTimeOf(pid: number): string | undefined {
  try {
    if (existsSync('/proc/self/stat')) {
      // The command name may hold spaces and brackets, so fields are counted after it. Field 3 is the state, field 22 the start time.
      const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
      return fields[0] === 'Z' ? undefined : fields[19];
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // the process ended meanwhile
  }
}
