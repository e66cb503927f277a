/**
 * Runs a whole stack on this machine: the embedded broker and object store (unless the environment names others), and the five
 * services as five processes. It restarts a crashed service with backoff.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { PipelineError } from '#contracts/pipeline-error.js';
import { isPortFree } from '#embedded/free-ports.js';
import { makePrivateFolder } from '#embedded/private-folder.js';
import { provisionAll } from '#embedded/provision.js';
import { Supervisor, type ChildStatus } from '#embedded/supervisor.js';
import { servicePorts } from '#service/connection-config.js';
import { readHttpAccess } from '#service/http-access.js';
import { packageRoot } from '#service/package-root.js';
import type { Environment } from '#service/read-config.js';
import { EmbeddedServers } from './embedded-servers.js';
import { makeUndertoneHome, readStackNote, removeStackNote, undertoneHome, writeRestarts, writeStackNote } from './stack-file.js';

export interface StackOptions {
  /** Name of the data folder. Each start deletes `demo`; other folders are kept. */
  name: string;
  fresh: boolean;
  environment: Environment;
  /** Added to the services' environment unless the caller sets the variable. */
  defaults: Record<string, string>;
  say: (line: string, level?: 'info' | 'warning') => void;
}

type Service = keyof typeof servicePorts;
const services = Object.keys(servicePorts) as Service[];

/** Variables of the caller that every service gets. */
const sharedVariables = [
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
  'HTTP_HOST',
  'HTTP_ALLOWED_HOSTS',
  'HTTP_ALLOWED_ORIGINS',
  'API_TOKEN',
  'METRICS_TOKEN',
];
/** The folders that a fresh stack deletes. Logs are deleted before the supervisor opens its own. */
const throwawayParts = ['kafka', 's3', 's3-credentials.json', 'shards'];

export class Stack {
  private constructor(
    /** The environment of the services. A command that speaks to them needs the same. */
    readonly environment: Record<string, string>,
    readonly dashboardUrl: string,
    readonly logsDir: string,
    private readonly supervisor: Supervisor,
    private readonly servers: EmbeddedServers,
    private readonly caller: Environment,
  ) {}

  /** @throws PipelineError CONFIG_INVALID, PREREQUISITE_MISSING, PORT_IN_USE, SETUP_FAILED, DISK_FULL */
  static async start({ environment: caller, name, fresh, defaults, say }: StackOptions): Promise<Stack> {
    refuseSecondStack(caller);
    // Checked once here: otherwise each service would refuse to start again and again.
    readHttpAccess(caller['HTTP_HOST'] || '127.0.0.1', caller);
    const dataDir = join(undertoneHome(caller), name);
    const logsDir = join(dataDir, 'logs');
    makeUndertoneHome(caller);
    makePrivateFolder(dataDir);
    const provisioned = await provisionAll({ env: caller, needKafka: !caller['KAFKA_BROKERS'], needS3: !caller['S3_ENDPOINT'], log: say });
    if (fresh) rmSync(logsDir, { recursive: true, force: true });
    const supervisor = new Supervisor({
      logsDir,
      recordFile: join(undertoneHome(caller), 'processes.json'),
      onWarning: (warning) => say(warning, 'warning'),
    });
    await supervisor.endLeftovers();
    if (fresh) for (const part of throwawayParts) rmSync(join(dataDir, part), { recursive: true, force: true });
    const ports = await choosePorts(caller);
    const given = { ...defaults, ...pick(caller, [...Object.keys(defaults), ...sharedVariables]) };
    const bucket = given['S3_BUCKET'] ?? 'undertone';
    const servers = await EmbeddedServers.start({ dataDir, provisioned, environment: caller, bucket, ingestPort: ports.ingest, say });
    const environment: Record<string, string> = {
      ...given,
      ...servers.environment,
      ...(provisioned.ffmpeg && { FFMPEG_BIN: provisioned.ffmpeg.path }),
      SHARD_CACHE: caller['SHARD_CACHE'] || join(dataDir, 'shards'),
      ...addressesOf(ports),
    };
    const stack = new Stack(environment, `http://127.0.0.1:${ports.evaluator}`, logsDir, supervisor, servers, caller);
    supervisor.on('state', () => writeRestarts(caller, supervisor.states));
    for (const service of services) stack.startService(service);
    writeStackNote(caller, { pid: process.pid, dashboardUrl: stack.dashboardUrl, environment });
    return stack;
  }

  get states(): ChildStatus[] {
    return this.supervisor.states;
  }

  async stop(): Promise<void> {
    removeStackNote(this.caller);
    await this.supervisor.stop();
    await this.servers.stop();
  }

  private startService(name: Service): void {
    const main = join(packageRoot, 'dist', 'apps', name, 'src', 'main.js');
    this.supervisor.start({
      name,
      command: process.execPath,
      args: ['--enable-source-maps', main],
      env: this.environment,
      cwd: packageRoot,
      healthUrl: `${this.environment[`${name.toUpperCase()}_URL`]}/health/live`,
    });
  }
}

function refuseSecondStack(caller: Environment): void {
  const running = readStackNote(caller);
  if (!running) return;
  throw new PipelineError(
    'SETUP_FAILED',
    `A stack is running already (process ${running.pid}, ${running.dashboardUrl}). Stop it with Ctrl-C in its terminal first.`,
  );
}

function pick(environment: Environment, names: string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])));
}

function addressesOf(ports: Record<Service, number>): Record<string, string> {
  return Object.fromEntries(
    services.flatMap((service) => [
      [`${service.toUpperCase()}_PORT`, String(ports[service])],
      [`${service.toUpperCase()}_URL`, `http://127.0.0.1:${ports[service]}`],
    ]),
  );
}

/** @throws PipelineError PORT_IN_USE before anything is started; the message names the variable to set */
async function choosePorts(caller: Environment): Promise<Record<Service, number>> {
  const chosen: Record<Service, number> = { ...servicePorts };
  for (const service of services) {
    const variable = `${service.toUpperCase()}_PORT`;
    chosen[service] = Number(caller[variable] || servicePorts[service]);
    if (await isPortFree(chosen[service])) continue;
    throw new PipelineError(
      'PORT_IN_USE',
      `Port ${chosen[service]} is in use. Stop the program that listens there, or set ${variable} to another port.`,
    );
  }
  return chosen;
}
