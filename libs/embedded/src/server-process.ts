/**
 * Runs one server (Kafka, SeaweedFS) as a child process. It writes the server's output to a log file, waits until a probe answers,
 * and stops it by SIGTERM, then SIGKILL. The server has its own process group, so that Ctrl-C reaches its owner only. So the
 * services drain first, and the servers end last.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError } from '#contracts/pipeline-error.js';
import { isPortFree } from './free-ports.js';
import { dyingWithParent, ProcessRecord } from './process-record.js';
import { tellingLine } from './run-command.js';

export interface ServerProcessOptions {
  /** The name in messages, such as "Kafka". */
  name: string;
  dataDir: string;
  /** Output is appended here. */
  logFile: string;
  /** Called if the server ends without a stop (a crash, a kill -9) after it was ready. */
  onUnexpectedExit?: ((reason: string) => void) | undefined;
}

export interface LaunchOptions {
  command: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
  /** Resolves once the server answers; rejects or throws before. */
  probe: () => Promise<unknown>;
  timeoutMs: number;
}

/** A port that the server binds, and the variable that moves it. */
export interface NamedPort {
  port: number;
  /** "Kafka" or "SeaweedFS filer gRPC". */
  use: string;
  variable?: string | undefined;
}

export class ServerProcess {
  private child: ChildProcess | undefined;
  private stopping = false;
  private readonly record: ProcessRecord;

  constructor(private readonly options: ServerProcessOptions) {
    this.record = new ProcessRecord(join(options.dataDir, 'processes.json'));
  }

  get pid(): number | undefined {
    return this.isRunning ? this.child?.pid : undefined;
  }

  get isRunning(): boolean {
    return this.child !== undefined && !hasEnded(this.child);
  }

  /** Ends the processes that a killed owner left in this data folder, then checks that the ports are free. @throws PipelineError `PORT_IN_USE`. */
  async claim(ports: NamedPort[]): Promise<void> {
    await this.record.endLeftovers();
    for (const { port, use, variable } of ports) {
      if (await isPortFree(port)) continue;
      const remedy = variable ? `stop that program or set ${variable} to another port` : 'stop that program or choose another port';
      throw new PipelineError('PORT_IN_USE', `${use} needs port ${port}, and another program uses it: ${remedy}`, {
        context: { port },
      });
    }
  }

  /** Starts the command and resolves with the elapsed milliseconds when `probe` has answered. */
  async launch({ command, args, env, probe, timeoutMs }: LaunchOptions): Promise<number> {
    const startedMs = Date.now();
    const { name, dataDir, logFile } = this.options;
    mkdirSync(dirname(logFile), { recursive: true });
    const logStart = existsSync(logFile) ? statSync(logFile).size : 0;
    const log = openSync(logFile, 'a');
    const guarded = dyingWithParent(command, args);
    const child = spawn(guarded.command, guarded.args, {
      cwd: dataDir,
      env: env ?? process.env,
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    this.child = child;
    this.stopping = false;
    let spawnError: Error | undefined;
    child.once('error', (error) => (spawnError = error));
    this.record.add(name, child.pid);
    for (;;) {
      if (spawnError) throw new PipelineError('PREREQUISITE_MISSING', `${name} could not be started: ${spawnError.message}`);
      if (hasEnded(child)) {
        this.record.remove(name);
        throw this.startFailure(logStart);
      }
      if (Date.now() - startedMs > timeoutMs) {
        await this.stop({ graceMs: 0 });
        throw new PipelineError('SETUP_FAILED', `${name} was not ready after ${timeoutMs / 1000} s; its log is ${logFile}`);
      }
      const ready = await probe().then(
        () => true,
        () => false,
      );
      if (ready && !hasEnded(child)) break;
      await sleep(50);
    }
    child.once('exit', (exitCode, signalName) => {
      if (this.stopping) return;
      this.record.remove(name);
      this.options.onUnexpectedExit?.(`${name} ended unexpectedly (${signalName ?? `code ${exitCode}`}); its log is ${logFile}`);
    });
    return Date.now() - startedMs;
  }

  /** Sends SIGTERM, then SIGKILL after `graceMs`. Resolves with the elapsed milliseconds; 0 if no process ran. */
  async stop({ graceMs }: { graceMs: number }): Promise<number> {
    const child = this.child;
    if (!child || hasEnded(child)) return 0;
    this.stopping = true;
    const startedMs = Date.now();
    const ended = once(child, 'exit');
    child.kill(graceMs > 0 ? 'SIGTERM' : 'SIGKILL');
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await ended;
    clearTimeout(timer);
    this.record.remove(this.options.name);
    return Date.now() - startedMs;
  }

  private startFailure(logStart: number): PipelineError {
    const { name, logFile } = this.options;
    const output = readFrom(logFile, logStart);
    const context = { logFile };
    if (/address already in use/i.test(output)) {
      return new PipelineError('PORT_IN_USE', `${name} found one of its ports taken: ${tellingLine(output)}; its log is ${logFile}`, {
        context,
      });
    }
    if (/no space left on device/i.test(output)) {
      return new PipelineError('DISK_FULL', `${name} has no disk space left in ${this.options.dataDir}; its log is ${logFile}`, {
        context,
      });
    }
    return new PipelineError('SETUP_FAILED', `${name} ended while starting: ${tellingLine(output)}; its log is ${logFile}`, { context });
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function readFrom(file: string, start: number): string {
  const lengthBytes = Math.min(Math.max(0, statSync(file).size - start), 256 * 1024);
  const handle = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(lengthBytes);
    readSync(handle, buffer, 0, lengthBytes, start);
    return buffer.toString('utf8');
  } finally {
    closeSync(handle);
  }
}
