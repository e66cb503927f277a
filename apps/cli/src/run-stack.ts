/**
 * A whole stack on this machine: the embedded broker and object store (unless others are named), and the four services
 * as four processes, restarted with backoff when they crash.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { PipelineError } from '#contracts/pipeline-error.js';
import { freePorts, isPortFree } from '#embedded/free-ports.js';
import { EmbeddedKafka } from '#embedded/kafka-broker.js';
import { provisionAll, type Provisioned } from '#embedded/provision.js';
import { EmbeddedS3, seaweedfsPorts } from '#embedded/seaweedfs.js';
import { Supervisor, type ChildStatus } from '#embedded/supervisor.js';
import { packageRoot } from '#service/package-root.js';
import type { Environment } from '#service/read-config.js';
import { freshCredentials } from './config.js';
import { readStackNote, removeStackNote, undertoneHome, writeStackNote } from './stack-file.js';

export interface StackOptions {
  /** Names the data folder; `demo` is thrown away at each start, others are kept. */
  name: string;
  fresh: boolean;
  environment: Environment;
  /** Added to the services' environment where the caller's does not say otherwise. */
  defaults: Record<string, string>;
  say: (line: string, level?: 'info' | 'warning') => void;
}

export const services = ['ingest', 'features', 'trainer', 'evaluator'] as const;
const servicePorts = { evaluator: 7400, ingest: 7401, features: 7402, trainer: 7403 } as const;
const kafkaPort = 19092;
const s3Port = 18333;

export class Stack {
  private constructor(
    readonly environment: Record<string, string>,
    readonly dashboardUrl: string,
    readonly logsDir: string,
    readonly supervisor: Supervisor,
    private readonly kafka: EmbeddedKafka | undefined,
    private readonly s3: EmbeddedS3 | undefined,
    private readonly caller: Environment,
  ) {}

  /** @throws PipelineError PREREQUISITE_MISSING, PORT_IN_USE, SETUP_FAILED, DISK_FULL */
  static async start(options: StackOptions): Promise<Stack> {
    const { environment, name, fresh, say } = options;
    const running = readStackNote(environment);
    if (running)
      throw new PipelineError(
        'SETUP_FAILED',
        `A stack is running already (process ${running.pid}, ${running.dashboardUrl}). Stop it with Ctrl-C first.`,
      );
    const dataDir = join(undertoneHome(environment), name);
    const needKafka = !environment['KAFKA_BROKERS'];
    const needS3 = !environment['S3_ENDPOINT'];
    const provisioned = await provisionAll({
      env: environment,
      needKafka,
      needS3,
      log: say,
    });
    if (fresh) rmSync(join(dataDir, 'logs'), { recursive: true, force: true });
    const supervisor = new Supervisor({ logsDir: join(dataDir, 'logs'), recordFile: join(undertoneHome(environment), 'processes.json') });
    await supervisor.endLeftovers();
    if (fresh)
      for (const part of ['kafka', 's3', 's3-credentials.json', 'shards']) rmSync(join(dataDir, part), { recursive: true, force: true });
    const ports = await choosePorts(environment);
    const startedAt = performance.now();
    const [kafka, s3] = await startServers({ dataDir, provisioned, environment, ingestPort: ports.ingest });
    if (kafka ?? s3)
      say(
        `${[kafka && `Kafka at ${kafka.broker.brokers}`, s3 && `S3 at ${s3.server.endpoint}`].filter(Boolean).join(', ')}  ${((performance.now() - startedAt) / 1000).toFixed(1)} s`,
      );
    const serviceEnvironment: Record<string, string> = {
      ...options.defaults,
      ...pick(environment, Object.keys(options.defaults)),
      ...pick(environment, connectionVariables),
      ...kafka?.environment,
      ...s3?.environment,
      ...(provisioned.ffmpeg && { FFMPEG_BIN: provisioned.ffmpeg.path }),
      SHARD_CACHE: join(dataDir, 'shards'),
      ...Object.fromEntries(services.map((service) => [`${service.toUpperCase()}_PORT`, String(ports[service])])),
      ...Object.fromEntries(services.map((service) => [`${service.toUpperCase()}_URL`, `http://127.0.0.1:${ports[service]}`])),
    };
    const stack = new Stack(
      serviceEnvironment,
      `http://127.0.0.1:${ports.evaluator}`,
      join(dataDir, 'logs'),
      supervisor,
      kafka?.broker,
      s3?.server,
      environment,
    );
    for (const service of services) stack.startService(service);
    writeStackNote(environment, { pid: process.pid, dashboardUrl: stack.dashboardUrl, environment: serviceEnvironment });
    return stack;
  }

  startService(service: (typeof services)[number]): void {
    const main = join(packageRoot, 'dist', 'apps', service, 'src', 'main.js');
    // Two processes that compute share this machine's cores.
    const threads = { OMP_NUM_THREADS: String(cpus().length) };
    this.supervisor.start({
      name: service,
      command: process.execPath,
      args: ['--enable-source-maps', main],
      env: { ...threads, ...this.environment },
      cwd: packageRoot,
    });
  }

  get states(): ChildStatus[] {
    return this.supervisor.states;
  }

  async stop(): Promise<void> {
    removeStackNote(this.caller);
    await this.supervisor.stop();
    await Promise.all([this.kafka?.stop(), this.s3?.stop()]);
  }
}

const connectionVariables = [
  'KAFKA_BROKERS',
  'KAFKA_SSL',
  'KAFKA_SASL_MECHANISM',
  'KAFKA_SASL_USERNAME',
  'KAFKA_SASL_PASSWORD',
  'TOPIC_PREFIX',
  'S3_ENDPOINT',
  'S3_BUCKET',
  'S3_FORCE_PATH_STYLE',
  'AWS_REGION',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
];

function pick(environment: Environment, names: string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])));
}

interface ServerParts {
  dataDir: string;
  provisioned: Provisioned;
  environment: Environment;
  ingestPort: number;
}

/** Both at once: together they take as long as the slower. */
async function startServers(
  parts: ServerParts,
): Promise<
  [
    { broker: EmbeddedKafka; environment: Record<string, string> } | undefined,
    { server: EmbeddedS3; environment: Record<string, string> } | undefined,
  ]
> {
  const started = await Promise.allSettled([startKafka(parts), startS3(parts)]);
  const [kafka, s3] = started.map((each) => (each.status === 'fulfilled' ? each.value : undefined));
  const failed = started.find((each) => each.status === 'rejected');
  if (failed) {
    await Promise.all([
      (kafka as Awaited<ReturnType<typeof startKafka>>)?.broker.stop(),
      (s3 as Awaited<ReturnType<typeof startS3>>)?.server.stop(),
    ]);
    throw failed.reason;
  }
  return [kafka as Awaited<ReturnType<typeof startKafka>>, s3 as Awaited<ReturnType<typeof startS3>>];
}

async function startKafka({
  dataDir,
  provisioned,
  environment,
}: ServerParts): Promise<{ broker: EmbeddedKafka; environment: Record<string, string> } | undefined> {
  if (!provisioned.kafka) return undefined;
  const port = Number(environment['KAFKA_PORT'] || kafkaPort);
  const [controllerPort = 0] = await freePorts(1);
  const broker = new EmbeddedKafka({
    install: provisioned.kafka,
    dataDir: join(dataDir, 'kafka'),
    port,
    controllerPort,
    portVariable: 'KAFKA_PORT',
  });
  await broker.start();
  return { broker, environment: { KAFKA_BROKERS: broker.brokers } };
}

async function startS3({
  dataDir,
  provisioned,
  environment,
  ingestPort,
}: ServerParts): Promise<{ server: EmbeddedS3; environment: Record<string, string> } | undefined> {
  if (!provisioned.seaweedfs) return undefined;
  const credentials = keptCredentials(join(dataDir, 's3-credentials.json'));
  const server = new EmbeddedS3({
    weed: provisioned.seaweedfs.weed,
    dataDir: join(dataDir, 's3'),
    ports: { ...seaweedfsPorts(await freePorts(10)), s3: Number(environment['S3_PORT'] || s3Port) },
    portVariable: 'S3_PORT',
    accessKeyId: credentials.AWS_ACCESS_KEY_ID,
    secretAccessKey: credentials.AWS_SECRET_ACCESS_KEY,
    webhookUrl: `http://127.0.0.1:${ingestPort}/bucket-events`,
    webhookBuckets: [environment['S3_BUCKET'] || 'undertone'],
  });
  await server.start();
  return { server, environment: { S3_ENDPOINT: server.endpoint, ...credentials } };
}

/** A stack that is kept keeps its keys: the object store remembers them. */
function keptCredentials(file: string): ReturnType<typeof freshCredentials> {
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as ReturnType<typeof freshCredentials>;
  const credentials = freshCredentials();
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(credentials), { mode: 0o600 });
  return credentials;
}

/** @throws PipelineError PORT_IN_USE before anything is started, naming the variable */
async function choosePorts(environment: Environment): Promise<Record<(typeof services)[number], number>> {
  const chosen = { ...servicePorts } as Record<(typeof services)[number], number>;
  for (const service of services) {
    const variable = `${service.toUpperCase()}_PORT`;
    chosen[service] = Number(environment[variable] || servicePorts[service]);
    if (!(await isPortFree(chosen[service])))
      throw new PipelineError(
        'PORT_IN_USE',
        `Port ${chosen[service]} is in use. Stop what listens there, or set ${variable} to another port.`,
      );
  }
  return chosen;
}
