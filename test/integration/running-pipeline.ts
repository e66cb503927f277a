/** Runs the services as real processes against the real broker and object store, for tests: start, kill -9, wait, inspect. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { bucketEvents } from '#contracts/bucket-events.js';
import { topicName } from '#contracts/topic.js';
import { topics } from '#contracts/topics.js';
import { freePorts } from '#embedded/free-ports.js';
import { followInto } from '#overview/follow-pipeline.js';
import { PipelineOverview } from '#overview/pipeline-overview.js';
import { readKafkaConnection, readStoreConnection } from '#service/connection-config.js';
import { packageRoot } from '#service/package-root.js';
import { ObjectStore } from '#storage/object-store.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { TableFollower } from '#streaming/table-follower.js';

export type ServiceName = 'ingest' | 'features' | 'trainer' | 'evaluator' | 'predictor';
/** Further processes of features in the same consumer group. */
export type Twin = `features-${number}`;
type ProcessName = ServiceName | Twin;

/** Small enough that a step on a loaded machine takes milliseconds. */
export const tinyModel = {
  filters: [2, 2, 4],
  pools: [
    [2, 4],
    [4, 4],
    [2, 2],
  ],
  dense: 8,
  headFilters: 4,
  update: 'joint',
};

/** Settings with which the whole pipeline takes seconds. */
export const quickSettings = {
  SHARD_MAX_AGE: '1',
  ROUND_STEPS: '20',
  ROUND_QUIET: '3',
  REPORT_STEPS: '5',
  CHECKPOINT_STEPS: '10',
  BATCH_LABELLED: '4',
  BATCH_UNLABELLED: '4',
  RECONCILE_INTERVAL: '2',
};

export class RunningPipeline {
  readonly overview = new PipelineOverview();
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly logsDir = mkdtempSync(join(tmpdir(), 'undertone-pipeline-'));
  private readonly children = new Map<ProcessName, ChildProcess>();
  private follower: TableFollower | undefined;
  private ports: Record<ServiceName, number> = { ingest: 0, features: 0, trainer: 0, evaluator: 0, predictor: 0 };

  /** @param settings may include TOPIC_PREFIX and the services' ports, if a test must know them before */
  constructor(protected readonly settings: Record<string, string> = {}) {
    this.prefix = settings['TOPIC_PREFIX'] ?? `test-${randomBytes(5).toString('hex')}`;
    this.store = new ObjectStore(readStoreConnection(this.environment));
  }

  get environment(): Record<string, string | undefined> {
    const urls = Object.fromEntries(
      Object.entries(this.ports ?? {}).flatMap(([name, port]) => [
        [`${name.toUpperCase()}_PORT`, String(port)],
        [`${name.toUpperCase()}_URL`, `http://127.0.0.1:${port}`],
      ]),
    );
    return {
      ...process.env,
      TOPIC_PREFIX: this.prefix,
      S3_BUCKET: this.prefix,
      ...quickSettings,
      MODEL_SETTINGS_FILE: join(this.logsDir, 'model.json'),
      SHARD_CACHE: join(this.logsDir, 'shards'),
      TRAINER_ID: this.prefix,
      ...urls,
      ...this.settings,
    };
  }

  /** Makes bucket and topics, and follows the topics. */
  async prepare(): Promise<void> {
    const services = Object.keys(this.ports) as ServiceName[];
    const free = await freePorts(services.length);
    for (const [at, service] of services.entries()) {
      this.ports[service] = Number(this.settings[`${service.toUpperCase()}_PORT`] ?? free[at]);
    }
    writeFileSync(join(this.logsDir, 'model.json'), JSON.stringify(tinyModel));
    await this.store.ensureBucket();
    const logger = pino({ level: 'silent' });
    const kafka = kafkaClient(readKafkaConnection(this.environment), 'undertone-test', logger);
    await ensureTopics(kafka, topics, this.prefix);
    this.follower = followInto(this.overview, new TableFollower(kafka, this.prefix, 'test', logger));
    await this.follower.start();
  }

  /** @returns the number of the store's events so far */
  async countEvents(): Promise<number> {
    const admin = kafkaClient(readKafkaConnection(this.environment), 'undertone-test', pino({ level: 'silent' })).admin();
    await admin.connect();
    try {
      const offsets = await admin.fetchTopicOffsets(topicName(bucketEvents, this.prefix));
      return offsets.reduce((sum, { high }) => sum + Number(high), 0);
    } finally {
      await admin.disconnect();
    }
  }

  start(...services: ServiceName[]): void {
    for (const service of services) this.launch(service, service, {});
  }

  /** Starts another process of features with its own settings. @returns its address */
  async startTwin(twin: Twin, settings: Record<string, string> = {}): Promise<string> {
    const [port = 0] = await freePorts(1);
    this.launch(twin, 'features', { FEATURES_PORT: String(port), ...settings });
    return `http://127.0.0.1:${port}`;
  }

  /** Sends SIGKILL, so that the service cannot commit, announce or leave its group. */
  async kill(service: ProcessName): Promise<void> {
    await this.end(service, 'SIGKILL');
  }

  /** Sends SIGTERM. @returns the exit code */
  async stopGently(service: ProcessName): Promise<number | null> {
    return this.end(service, 'SIGTERM');
  }

  url(service: ServiceName): string {
    return `http://127.0.0.1:${this.ports[service]}`;
  }

  /** The log of a service; empty before its first line. */
  logOf(service: ProcessName): string {
    const file = join(this.logsDir, `${service}.log`);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  hasExited(service: ProcessName): boolean {
    const child = this.children.get(service);
    return !child || child.exitCode !== null || child.signalCode !== null;
  }

  /** @throws with the state reached and the ends of the logs, on a timeout or a crash of a service */
  async until(what: string, condition: () => boolean | Promise<boolean>, timeoutSec = 90): Promise<void> {
    const deadline = Date.now() + timeoutSec * 1000;
    while (!(await condition())) {
      const crashed = [...this.children.keys()].filter((service) => this.hasExited(service));
      if (Date.now() > deadline || crashed.length > 0) {
        const ends = [...this.children.keys()].map(
          (service) => `--- ${service}\n${this.logOf(service).split('\n').slice(-6).join('\n').slice(-2_000)}`,
        );
        const why = crashed.length > 0 ? `${crashed.join(', ')} ended before` : `${timeoutSec} s were not enough for`;
        throw new Error(`${why}: ${what}\n${JSON.stringify(this.overview.reconcile())}\n${ends.join('\n')}`);
      }
      await sleep(100);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.children.keys()].map((service) => this.end(service, 'SIGKILL')));
    await this.follower?.stop();
    this.store.close();
    if (!process.env['KEEP_LOGS']) rmSync(this.logsDir, { recursive: true, force: true });
  }

  pidOf(service: ProcessName): number | undefined {
    return this.children.get(service)?.pid;
  }

  private launch(name: ProcessName, service: ServiceName, settings: Record<string, string>): void {
    const log = createWriteStream(join(this.logsDir, `${name}.log`), { flags: 'a' });
    const child = spawn(process.execPath, ['--enable-source-maps', join(packageRoot, 'dist/apps', service, 'src/main.js')], {
      env: { ...this.environment, ...settings },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    this.children.set(name, child);
  }

  private async end(service: ProcessName, signal: NodeJS.Signals): Promise<number | null> {
    const child = this.children.get(service);
    this.children.delete(service);
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.kill(signal);
    return ended;
  }
}
