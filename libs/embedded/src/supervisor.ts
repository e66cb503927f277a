/**
 * Keeps the services of `npm start` running, each in its own process. A service that ends is restarted after a pause. The pause
 * doubles from 0.5 s to 30 s and resets after a minute of health. Kubernetes or systemd give the same contract in production: a
 * service may crash on an error that it cannot handle. A service that answers unhealthy is killed and restarted too.
 *
 * Delivery: a restart loses nothing, because every service commits after its work. It may repeat the last piece of work.
 *
 * If the supervisor itself is killed (kill -9), its children end too. On Linux the kernel sends them SIGTERM (see
 * process-record.ts). Elsewhere a Node child sees that its IPC channel closed, if it listens:
 * `process.once('disconnect', shutDown)`. The next supervisor with the same `recordFile` ends any child that survives both.
 *
 * A full disk loses log lines and nothing else: see log-file.ts.
 *
 * Each child has its own process group. Ctrl-C reaches the supervisor only, which then stops the children in order.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { HealthPoll, type HealthPollOptions } from './health-poll.js';
import { LogFile, RareWarning } from './log-file.js';
import { dyingWithParent, ProcessRecord } from './process-record.js';

export interface ChildCommand {
  /** A unique name, also of the log file. */
  name: string;
  command: string;
  args?: string[];
  /** Variables added to this process's environment. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** `on-failure` does not restart a child that exits with 0. Default: `always`. */
  restart?: 'always' | 'on-failure';
  /** Polled every 10 s. After three failures in a row the child is killed (SIGKILL) and restarted. */
  healthUrl?: string;
}

type ChildState = 'starting' | 'running' | 'backoff' | 'stopped';

export interface ChildStatus {
  name: string;
  state: ChildState;
  pid: number | undefined;
  /** Number of restarts since `start()`. */
  restarts: number;
  /** Time of the latest restart; undefined before the first. */
  restartedAt: string | undefined;
  /** The latest exit, such as "code 1" or "SIGKILL"; undefined before the first. */
  lastExit: string | undefined;
  /** Only in `backoff`: milliseconds until the next start. */
  restartsInMs: number | undefined;
  logFile: string;
}

export interface SupervisorOptions {
  /** Folder of the logs. Each child appends to `<name>.log`. */
  logsDir: string;
  /** File that keeps the children's ids across a kill -9. Default: `<logsDir>/processes.json`. */
  recordFile?: string;
  /** Called with each line that a child prints. */
  onLine?: (name: string, line: string, stream: 'stdout' | 'stderr') => void;
  /** Pauses before a restart: the first, the longest, and the time of health that resets the pause. */
  backoff?: { firstMs?: number; maxMs?: number; healthyAfterMs?: number };
  health?: HealthPollOptions;
  /** Called at most once a minute if a log or the record of children is not writable. Default: print to stderr. */
  onWarning?: (warning: string) => void;
}

interface SupervisorEvents {
  /** Emitted when a child changes its state. */
  state: [status: ChildStatus];
}

export class Supervisor extends EventEmitter<SupervisorEvents> {
  private readonly children = new Map<string, SupervisedChild>();
  private readonly record: ProcessRecord;
  private readonly warning: RareWarning;

  constructor(private readonly options: SupervisorOptions) {
    super();
    mkdirSync(options.logsDir, { recursive: true });
    this.warning = new RareWarning(options.onWarning);
    const recordFile = options.recordFile ?? join(options.logsDir, 'processes.json');
    this.record = new ProcessRecord(recordFile, (warning) => this.warning.warn(warning));
  }

  /**
   * Ends the children of a killed supervisor and returns their names. Call it once, before the first `start()`.
   * @throws PipelineError `SETUP_FAILED` if that supervisor is alive.
   */
  async endLeftovers(): Promise<string[]> {
    return this.record.endLeftovers();
  }

  /** Starts a child now. A crash before it is ready is logged and leads to a restart, not to an exception. */
  start(command: ChildCommand): void {
    if (this.children.has(command.name)) throw new Error(`The supervisor already has a child named ${command.name}.`);
    const child = new SupervisedChild(command, this.options, { record: this.record, warning: this.warning }, (status) =>
      this.emit('state', status),
    );
    this.children.set(command.name, child);
    child.launch();
  }

  /** The states of all children, in the order of their start. */
  get states(): ChildStatus[] {
    return [...this.children.values()].map((child) => child.status);
  }

  stateOf(name: string): ChildStatus | undefined {
    return this.children.get(name)?.status;
  }

  /** Sends SIGTERM to all (or the named) children, and SIGKILL after `graceMs`. They stay stopped until `start()` names them again. */
  async stop({ graceMs = 25_000, names }: { graceMs?: number; names?: string[] } = {}): Promise<void> {
    const chosen = [...this.children].filter(([name]) => names === undefined || names.includes(name));
    await Promise.all(chosen.map(([, child]) => child.stop(graceMs)));
    for (const [name] of chosen) this.children.delete(name);
  }
}

/** One child over all its restarts. */
class SupervisedChild {
  private process: ChildProcess | undefined;
  private state: ChildState = 'starting';
  private restarts = 0;
  private crashesInARow = 0;
  private restartedAt: string | undefined;
  private lastExit: string | undefined;
  private startedAtMs = 0;
  private restartAtMs = 0;
  private restartTimer: NodeJS.Timeout | undefined;
  private stopping = false;
  private ended: Promise<void> = Promise.resolve();
  private readonly logFile: string;

  constructor(
    private readonly command: ChildCommand,
    private readonly options: SupervisorOptions,
    private readonly shared: { record: ProcessRecord; warning: RareWarning },
    private readonly onState: (status: ChildStatus) => void,
  ) {
    this.logFile = join(options.logsDir, `${command.name}.log`);
  }

  get status(): ChildStatus {
    return {
      name: this.command.name,
      state: this.state,
      pid: this.state === 'running' ? this.process?.pid : undefined,
      restarts: this.restarts,
      restartedAt: this.restartedAt,
      lastExit: this.lastExit,
      restartsInMs: this.state === 'backoff' ? Math.max(0, this.restartAtMs - Date.now()) : undefined,
      logFile: this.logFile,
    };
  }

  launch(): void {
    const { name, command, args = [], env, cwd, healthUrl } = this.command;
    this.enter('starting');
    this.startedAtMs = Date.now();
    const log = new LogFile(this.logFile, this.shared.warning);
    const guarded = dyingWithParent(command, args);
    const child = spawn(guarded.command, guarded.args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
    });
    this.process = child;
    this.readLines(child.stdout, 'stdout', log);
    this.readLines(child.stderr, 'stderr', log);
    child.once('spawn', () => {
      this.shared.record.add(name, child.pid);
      if (!this.stopping) this.enter('running');
    });
    const health = healthUrl === undefined ? undefined : this.pollHealth(child, healthUrl, log);
    this.ended = new Promise((resolve) => {
      let seen = false;
      const onEnd = (how: string, failed: boolean): void => {
        if (seen) return;
        seen = true;
        health?.stop();
        log.end(`[supervisor] ${name} ended: ${how}`);
        this.shared.record.remove(name);
        this.afterEnd(how, failed);
        resolve();
      };
      child.once('error', (error) => {
        if (child.pid === undefined) onEnd(error.message, true);
      });
      // 'close' comes after the last byte of output. If a grandchild holds the pipe it never comes, so the wait is short.
      child.once('exit', (exitCode, signal) => {
        const end = (): void => onEnd(signal ?? `code ${exitCode}`, exitCode !== 0);
        child.once('close', end);
        setTimeout(end, 1_000).unref();
      });
    });
  }

  async stop(graceMs: number): Promise<void> {
    this.stopping = true;
    clearTimeout(this.restartTimer);
    if (this.state === 'backoff') this.enter('stopped');
    if (this.state === 'stopped') return;
    this.process?.kill('SIGTERM');
    const timer = setTimeout(() => this.process?.kill('SIGKILL'), graceMs);
    await this.ended;
    clearTimeout(timer);
  }

  private afterEnd(how: string, failed: boolean): void {
    this.lastExit = how;
    if (this.stopping || (!failed && this.command.restart === 'on-failure')) return this.enter('stopped');
    const { firstMs = 500, maxMs = 30_000, healthyAfterMs = 60_000 } = this.options.backoff ?? {};
    if (Date.now() - this.startedAtMs >= healthyAfterMs) this.crashesInARow = 0;
    const pauseMs = backoffMs(this.crashesInARow, firstMs, maxMs);
    this.crashesInARow += 1;
    this.restartAtMs = Date.now() + pauseMs;
    this.restartTimer = setTimeout(() => {
      this.restarts += 1;
      this.restartedAt = new Date().toISOString();
      this.launch();
    }, pauseMs);
    this.enter('backoff');
  }

  private pollHealth(child: ChildProcess, url: string, log: LogFile): HealthPoll {
    const replace = (why: string): void => {
      if (this.stopping) return;
      log.write(`[supervisor] ${this.command.name} is not healthy and is replaced: ${why}`);
      child.kill('SIGKILL');
    };
    return new HealthPoll(url, replace, this.options.health);
  }

  private readLines(stream: Readable | null, kind: 'stdout' | 'stderr', log: LogFile): void {
    if (!stream) return;
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
      log.write(line);
      this.options.onLine?.(this.command.name, line, kind);
    });
  }

  private enter(state: ChildState): void {
    this.state = state;
    this.onState(this.status);
  }
}

/** Pause before the restart after `crashesBefore` crashes in a row: firstMs, twice that, … at most maxMs. */
export function backoffMs(crashesBefore: number, firstMs: number, maxMs: number): number {
  return Math.min(maxMs, firstMs * 2 ** Math.min(crashesBefore, 30));
}
