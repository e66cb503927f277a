/**
 * A log file that never ends the process that writes it. On a full or very slow disk it drops lines and retries every second.
 * Once the disk takes writes again, the file says how many lines were dropped.
 */
import { createWriteStream, type WriteStream } from 'node:fs';

const retryAfterMs = 1_000;
/** The most bytes that wait for the disk. Without a limit, a stuck disk would fill the memory. */
const mostWaitingBytes = 4 * 1024 * 1024;
const warnEveryMs = 60_000;

/** Passes on a warning at most once a minute, so that it is visible and does not flood the output. */
export class RareWarning {
  private saidAtMs = -Infinity;

  constructor(private readonly say: (warning: string) => void = (warning) => void process.stderr.write(`${warning}\n`)) {}

  warn(warning: string): void {
    const nowMs = performance.now();
    if (nowMs - this.saidAtMs < warnEveryMs) return;
    this.saidAtMs = nowMs;
    this.say(warning);
  }
}

export class LogFile {
  private stream: WriteStream | undefined;
  private lostLines = 0;
  private failedAtMs = -Infinity;
  private hasEnded = false;

  constructor(
    private readonly path: string,
    private readonly warning: RareWarning,
  ) {
    this.open();
  }

  write(line: string): void {
    // A grandchild may still hold the pipe of a child that has ended.
    if (this.hasEnded) return;
    const stream = this.stream ?? this.open();
    if (!stream || stream.writableLength > mostWaitingBytes) {
      this.lostLines++;
      return;
    }
    stream.write(`${this.lostNote()}${line}\n`);
  }

  end(line: string): void {
    this.write(line);
    this.hasEnded = true;
    this.stream?.end();
  }

  private lostNote(): string {
    if (this.lostLines === 0) return '';
    // The note starts on a new line, because the line before may be cut.
    const note = `\n[supervisor] ${this.lostLines} lines are missing here: the disk did not take them\n`;
    this.lostLines = 0;
    return note;
  }

  private open(): WriteStream | undefined {
    if (performance.now() - this.failedAtMs < retryAfterMs) return undefined;
    const stream = createWriteStream(this.path, { flags: 'a' });
    this.stream = stream;
    stream.on('error', (error) => this.failed(stream, error));
    return stream;
  }

  private failed(stream: WriteStream, error: Error): void {
    if (this.stream === stream) this.stream = undefined;
    this.failedAtMs = performance.now();
    this.lostLines++;
    this.warning.warn(
      `The log ${this.path} is not writable (${error.message}). Its lines are dropped until the disk has room. Everything else continues.`,
    );
  }
}
