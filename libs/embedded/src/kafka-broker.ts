/**
 * Runs a real single-node Kafka (KRaft, broker and controller in one JVM) for `npm start` and the tests.
 *
 * Source: Kafka 4.4 documentation, "KRaft" and "Broker configs"; settings in `deploy/embedded/kafka/server.properties`.
 * Delivery: acknowledged records survive a kill -9 of the broker, because the page cache keeps them. They may not survive a power cut.
 * Not for production: no replication, no TLS, no authentication, loopback only.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { assetPath } from './asset-path.js';
import { makePrivateFolder } from './private-folder.js';
import { runCommand } from './run-command.js';
import { ServerProcess } from './server-process.js';

/** The files that `provisionKafka` found and fetched. */
export interface KafkaInstall {
  /** The `java` command. */
  java: string;
  /** The jars, in the order of the class-data archive. */
  classPath: string;
  /** Identifies the pair of Java and jars, and names the class-data archive. */
  cdsId: string;
  /** AppCDS archive, if there is one. */
  classData?: string | undefined;
}

export interface EmbeddedKafkaOptions {
  install: KafkaInstall;
  /** The broker's folder with `data/`, `server.properties` and `broker.log`. Made if absent. Keep it to keep the records. */
  dataDir: string;
  /** Loopback port for clients. */
  port: number;
  controllerPort: number;
  /** The variable that moves `port`. The error `PORT_IN_USE` names it. */
  portVariable?: string;
  /** Maximum and initial heap, MiB. Default 512. */
  heapMib?: number;
  /** Settings appended to `server.properties`, such as `{ 'log.retention.ms': 60000 }`. */
  properties?: Record<string, string | number>;
  jvmArguments?: string[];
  onUnexpectedExit?: (reason: string) => void;
}

export class EmbeddedKafka {
  private readonly server: ServerProcess;
  readonly logFile: string;

  constructor(private readonly options: EmbeddedKafkaOptions) {
    const { dataDir, onUnexpectedExit } = options;
    this.logFile = join(dataDir, 'broker.log');
    this.server = new ServerProcess({ name: 'Kafka', dataDir, logFile: this.logFile, onUnexpectedExit });
  }

  /** `host:port`, in the form of KAFKA_BROKERS. */
  get brokers(): string {
    return `127.0.0.1:${this.options.port}`;
  }

  get pid(): number | undefined {
    return this.server.pid;
  }

  get isRunning(): boolean {
    return this.server.isRunning;
  }

  /**
   * Formats the data folder on first use, starts the broker, and resolves with the elapsed milliseconds once it answers requests.
   * You may call it again after `stop()`, `kill()` or a crash: the records are kept.
   * @throws PipelineError `PORT_IN_USE`, `DISK_FULL`, `SETUP_FAILED`.
   */
  async start({ timeoutMs = 60_000 }: { timeoutMs?: number } = {}): Promise<number> {
    const startedMs = Date.now();
    const { install, dataDir, port, controllerPort, portVariable, heapMib = 512, jvmArguments = [] } = this.options;
    makePrivateFolder(dataDir);
    await this.server.claim([
      { port, use: 'Kafka', variable: portVariable },
      { port: controllerPort, use: "Kafka's controller" },
    ]);
    this.writeProperties();
    await this.format();
    await this.server.launch({
      command: install.java,
      args: [`-Xms${heapMib}m`, `-Xmx${heapMib}m`, ...jvmArguments, ...this.jvm(), 'kafka.Kafka', this.propertiesFile],
      probe: () => probeKafka(port),
      timeoutMs,
    });
    return Date.now() - startedMs;
  }

  /** Sends SIGTERM, then SIGKILL after `graceMs`. Resolves with the elapsed milliseconds. */
  async stop({ graceMs = 15_000 }: { graceMs?: number } = {}): Promise<number> {
    return this.server.stop({ graceMs });
  }

  /** Sends SIGKILL, for tests of crashes. */
  async kill(): Promise<void> {
    await this.server.stop({ graceMs: 0 });
  }

  private get propertiesFile(): string {
    return join(this.options.dataDir, 'server.properties');
  }

  private jvm(): string[] {
    const { classData, classPath } = this.options.install;
    const archive = classData && existsSync(classData) ? [`-XX:SharedArchiveFile=${classData}`] : [];
    const logging = `-Dlog4j2.configurationFile=${assetPath('kafka', 'log4j2.yaml')}`;
    return ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-XX:-UsePerfData', ...archive, logging, '-cp', classPath];
  }

  private writeProperties(): void {
    const { dataDir, port, controllerPort, properties = {} } = this.options;
    const own: Record<string, string | number> = {
      listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
      'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
      'log.dirs': join(dataDir, 'data'),
      ...properties,
    };
    const lines = Object.entries(own).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(this.propertiesFile, readFileSync(assetPath('kafka', 'server.properties'), 'utf8') + lines.join(''));
  }

  /** Formats with the real StorageTool, which writes every feature level. A hand-written meta.properties would lack transaction and group versions. */
  private async format(): Promise<void> {
    const { install, dataDir } = this.options;
    const done = join(dataDir, 'formatted');
    if (existsSync(done)) return;
    rmSync(join(dataDir, 'data'), { recursive: true, force: true }); // left by a format that was killed half-way
    const clusterId = randomBytes(16).toString('base64url').replace(/^-/, 'A');
    const args = [
      '-Xmx256m',
      ...this.jvm(),
      'kafka.tools.StorageTool',
      'format',
      '--cluster-id',
      clusterId,
      '--config',
      this.propertiesFile,
    ];
    await runCommand(install.java, args, { cwd: dataDir, label: "Kafka's StorageTool format", timeoutMs: 60_000 });
    writeFileSync(done, `${clusterId}\n`);
  }
}

/** Sends one ApiVersions request (version 0). An open port is not enough; an answer proves that the broker processes requests. */
async function probeKafka(port: number, timeoutMs = 1_000): Promise<void> {
  // size 14, api key 18, version 0, correlation id 1, client id "ping"
  const request = Buffer.from([0, 0, 0, 14, 0, 18, 0, 0, 0, 0, 0, 1, 0, 4, 0x70, 0x69, 0x6e, 0x67]);
  await new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('no answer')));
    socket.once('data', () => {
      resolve();
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
}
