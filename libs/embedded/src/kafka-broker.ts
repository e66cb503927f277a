/**
 * A real single-node Kafka (KRaft, broker and controller in one JVM) for `npm start` and the tests.
 *
 * Source: Kafka 4.4 documentation, "KRaft" and "Broker configs"; settings in `deploy/embedded/kafka/server.properties`.
 * Delivery: what was acknowledged survives a kill -9 of the broker (the page cache keeps it); not a power cut.
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

/** What `provisionKafka` found and fetched. */
export interface KafkaInstall {
  /** The `java` command. */
  java: string;
  /** The jars, in the order the class-data archive was made with. */
  classPath: string;
  /** Identifies Java and jars together; names the class-data archive. */
  cdsId: string;
  /** AppCDS archive, if there is one. */
  classData?: string | undefined;
}

export interface EmbeddedKafkaOptions {
  install: KafkaInstall;
  /** Everything of this broker: `data/`, `server.properties`, `broker.log`. Made if absent; keep it to keep the records. */
  dataDir: string;
  /** Loopback port for clients. */
  port: number;
  controllerPort: number;
  /** What a user sets to move `port`; named in `PORT_IN_USE`. */
  portVariable?: string;
  /** Maximum and initial heap, MiB. Default 512. */
  heapMib?: number;
  /** Appended to `server.properties`: `{ 'log.retention.ms': 60000 }`. */
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

  /** `host:port`, as KAFKA_BROKERS wants it. */
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
   * Formats the data folder on first use and resolves, with the milliseconds it took, once the broker answers requests. May be
   * called again after `stop()`, `kill()` or a crash: the records are still there.
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

  /** SIGTERM, SIGKILL after `graceMs`; resolves with the milliseconds it took. */
  async stop({ graceMs = 15_000 }: { graceMs?: number } = {}): Promise<number> {
    return this.server.stop({ graceMs });
  }

  /** kill -9, for tests of what happens then. */
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

  /** By the real StorageTool, which writes every feature level; a hand-written meta.properties leaves transaction and group versions out. */
  private async format(): Promise<void> {
    const { install, dataDir } = this.options;
    const done = join(dataDir, 'formatted');
    if (existsSync(done)) return;
    rmSync(join(dataDir, 'data'), { recursive: true, force: true }); // of a format that was killed half-way
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

/** Sends one ApiVersions request (version 0): the port may be open earlier, an answer means that requests are processed. */
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
