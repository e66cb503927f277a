/**
 * The environment of the chaos test: its own broker and store, and the services as real processes under a supervisor. Each
 * service has its own bad network to both. The test itself bypasses these networks.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { topics } from '#contracts/topics.js';
import { isPortFree } from '#embedded/free-ports.js';
import { EmbeddedKafka } from '#embedded/kafka-broker.js';
import { provisionAll } from '#embedded/provision.js';
import { EmbeddedS3, seaweedfsPorts } from '#embedded/seaweedfs.js';
import { Supervisor } from '#embedded/supervisor.js';
import { readKafkaConnection, readStoreConnection } from '#service/connection-config.js';
import { packageRoot } from '#service/package-root.js';
import { ObjectStore } from '#storage/object-store.js';
import { ensureTopics } from '#streaming/ensure-topics.js';
import { kafkaClient } from '#streaming/kafka-client.js';
import { watchAnswers, type AnsweredRequest } from './s3-answers.js';
import { SeededRandom } from './seeded-random.js';
import { TcpProxy } from './tcp-proxy.js';

export const serviceNames = ['ingest', 'features-1', 'features-2', 'trainer', 'evaluator', 'predictor'] as const;
export type ServiceName = (typeof serviceNames)[number];

const prefix = 'chaos';
const credentials = { accessKeyId: 'undertonechaos', secretAccessKey: 'undertonechaossecret' };
const tinyModel = {
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

interface Networks {
  kafka: TcpProxy;
  s3: TcpProxy;
  httpPort: number;
}

export class ChaosWorld {
  readonly prefix = prefix;
  readonly folder = mkdtempSync(join(tmpdir(), 'undertone-chaos-'));
  readonly logsDir = join(this.folder, 'logs');
  readonly networks = new Map<ServiceName, Networks>();
  /** Callbacks for every answer of the store to a service. */
  readonly onAnswered = new Set<(service: ServiceName, request: AnsweredRequest) => void>();
  readonly supervisor: Supervisor;
  kafkaServer!: EmbeddedKafka;
  s3Server!: EmbeddedS3;
  store!: ObjectStore;
  kafka!: ReturnType<typeof kafkaClient>;

  constructor() {
    this.supervisor = new Supervisor({ logsDir: this.logsDir, backoff: { firstMs: 300, maxMs: 3_000, healthyAfterMs: 5_000 } });
  }

  async start(): Promise<void> {
    const {
      kafka: install,
      seaweedfs,
      ffmpeg,
    } = await provisionAll({ needKafka: true, needS3: true, needTensorflow: true, log: (line) => console.log(line) });
    if (!install || !seaweedfs) throw new Error('The chaos test must kill its own broker and store: unset KAFKA_BROKERS and S3_ENDPOINT.');
    if (ffmpeg) process.env['FFMPEG_BIN'] = ffmpeg.path;
    const [port = 0, controllerPort = 0, ...more] = await steadyPorts(12 + 4 * serviceNames.length);
    const weedPorts = more.splice(0, 10);
    const listeners = serviceNames.map((name) => ({ name, behind: more.shift() ?? 0, proxied: more.shift() ?? 0 }));
    const properties = kafkaListeners(port, controllerPort, listeners);
    this.kafkaServer = new EmbeddedKafka({ install, dataDir: join(this.folder, 'kafka'), port, controllerPort, properties });
    const ports = seaweedfsPorts(weedPorts);
    this.s3Server = new EmbeddedS3({ weed: seaweedfs.weed, dataDir: join(this.folder, 's3'), ports, ...credentials });
    await Promise.all([this.kafkaServer.start(), this.s3Server.start()]);
    for (const { name, behind, proxied } of listeners) {
      const kafka = new TcpProxy(proxied, behind);
      const watch = () => watchAnswers((request) => this.onAnswered.forEach((each) => each(name, request)));
      const s3 = new TcpProxy(more.shift() ?? 0, ports.s3, watch);
      await Promise.all([kafka.start(), s3.start()]);
      this.networks.set(name, { kafka, s3, httpPort: more.shift() ?? 0 });
    }
    this.kafka = kafkaClient(readKafkaConnection(this.directEnvironment), 'undertone-chaos', pino({ level: 'silent' }));
    // The SDK reads credentials only from this process's variables.
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey });
    this.store = new ObjectStore(readStoreConnection(this.directEnvironment), { idleLimitMs: 60_000 }); // a put that was given up on might be done later
    await this.store.ensureBucket();
    await ensureTopics(this.kafka, topics, prefix);
    writeFileSync(join(this.folder, 'model.json'), JSON.stringify(tinyModel));
    mkdirSync(join(this.folder, 'shards'));
    for (const name of serviceNames) this.startService(name);
  }

  /** Addresses for clients that bypass the bad networks. */
  get directEnvironment(): Record<string, string> {
    return {
      KAFKA_BROKERS: this.kafkaServer.brokers,
      S3_ENDPOINT: this.s3Server.endpoint,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      TOPIC_PREFIX: prefix,
      S3_BUCKET: prefix,
      TRAINER_URL: this.urlOf('trainer'),
    };
  }

  urlOf(service: ServiceName): string {
    return `http://127.0.0.1:${this.networks.get(service)?.httpPort ?? 0}`;
  }

  pidOf(service: ServiceName): number | undefined {
    return this.supervisor.stateOf(service)?.pid;
  }

  async isReady(service: ServiceName): Promise<boolean> {
    const answer = await fetch(`${this.urlOf(service)}/health/ready`, { signal: AbortSignal.timeout(1_000) }).catch(() => null);
    return answer?.ok === true;
  }

  /** The last lines of every log. */
  logEnds(lines = 12): string {
    return readdirSync(this.logsDir)
      .filter((name) => name.endsWith('.log'))
      .map((name) => {
        const end = readFileSync(join(this.logsDir, name), 'utf8').trimEnd().split('\n').slice(-lines);
        return `--- ${name}\n${end.map((line) => line.slice(0, 400)).join('\n')}`;
      })
      .join('\n');
  }

  async stop({ keep }: { keep: boolean }): Promise<void> {
    await this.supervisor.stop({ graceMs: 5_000 });
    await Promise.all([...this.networks.values()].flatMap(({ kafka, s3 }) => [kafka.stop(), s3.stop()]));
    this.store?.close();
    await Promise.all([this.kafkaServer?.stop({ graceMs: 3_000 }), this.s3Server?.stop({ graceMs: 3_000 })]);
    if (!keep) rmSync(this.folder, { recursive: true, force: true });
  }

  private startService(name: ServiceName): void {
    const app = name.replace(/-\d$/, '');
    const { kafka, s3, httpPort } = this.networks.get(name) as Networks;
    this.supervisor.start({
      name,
      command: process.execPath,
      args: ['--enable-source-maps', join(packageRoot, 'dist/apps', app, 'src/main.js')],
      env: {
        ...this.directEnvironment,
        KAFKA_BROKERS: `127.0.0.1:${kafka.port}`,
        S3_ENDPOINT: `http://127.0.0.1:${s3.port}`,
        [`${app.toUpperCase()}_PORT`]: String(httpPort),
        INGEST_URL: this.urlOf('ingest'),
        FEATURES_URL: this.urlOf('features-1'),
        RESCORE: 'all',
        RECONCILE_INTERVAL: '4',
        SHARD_MAX_AGE: '1.5',
        SHARD_TILES: '32',
        FEATURE_WORKERS: '1',
        FILE_TIMEOUT: '8', // shorter than a zombie sleeps
        ROUND_STEPS: '20',
        KEEP_MODELS: '3',
        COMPACTION_INTERVAL: '15',
        COMPACTION_GRACE: '30',
        SNAPSHOT_INTERVAL: '20',
        ROUND_QUIET: '3',
        ROUND_MAX_WAIT: '15',
        CHECKPOINT_STEPS: '10',
        BATCH_LABELLED: '4',
        BATCH_UNLABELLED: '4',
        STATISTICS_TILES: '16',
        MODEL_SETTINGS_FILE: join(this.folder, 'model.json'),
        SHARD_CACHE: join(this.folder, 'shards'),
        TRAINER_ID: prefix,
      },
    });
  }
}

/** One listener for each service, advertised at the port of its proxy, because clients connect to the advertised address. */
function kafkaListeners(
  port: number,
  controllerPort: number,
  listeners: { name: ServiceName; behind: number; proxied: number }[],
): Record<string, string> {
  const nameOf = (service: ServiceName): string => service.replace('-', '').toUpperCase();
  const own = listeners.map(({ name, behind }) => `${nameOf(name)}://127.0.0.1:${behind}`);
  const announced = listeners.map(({ name, proxied }) => `${nameOf(name)}://127.0.0.1:${proxied}`);
  const protocols = ['CONTROLLER', 'PLAINTEXT', ...listeners.map(({ name }) => nameOf(name))].map((name) => `${name}:PLAINTEXT`);
  return {
    listeners: [`PLAINTEXT://127.0.0.1:${port}`, `CONTROLLER://127.0.0.1:${controllerPort}`, ...own].join(','),
    'advertised.listeners': [`PLAINTEXT://127.0.0.1:${port}`, ...announced].join(','),
    'listener.security.protocol.map': protocols.join(','),
  };
}

/** Ports below the ephemeral range, so that a killed server finds its port free again. */
async function steadyPorts(count: number): Promise<number[]> {
  const random = new SeededRandom(process.pid, `ports ${Date.now()}`);
  const found = new Set<number>();
  while (found.size < count) {
    const port = 20_000 + random.below(12_000);
    if (await isPortFree(port)) found.add(port);
  }
  return [...found];
}
