/**
 * Runs the broker and the object store of a stack on this machine, unless the environment names others. It starts and stops
 * both together, and restarts one that ends by itself. The services wait meanwhile.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '#embedded/free-ports.js';
import { EmbeddedKafka } from '#embedded/kafka-broker.js';
import { makePrivateFolder, writePrivateFile } from '#embedded/private-folder.js';
import type { Provisioned } from '#embedded/provision.js';
import { EmbeddedS3, seaweedfsPorts } from '#embedded/seaweedfs.js';
import type { Environment } from '#service/read-config.js';
import { embeddedPorts, freshCredentials, freshToken } from './config.js';

export interface EmbeddedServersOptions {
  dataDir: string;
  provisioned: Provisioned;
  environment: Environment;
  /** The bucket whose events the store posts to ingest. */
  bucket: string;
  ingestPort: number;
  say: (line: string, level?: 'info' | 'warning') => void;
}

const restartPauseMs = 1_000;
const longestPauseMs = 30_000;

export class EmbeddedServers {
  private readonly kafka: EmbeddedKafka | undefined;
  private readonly s3: EmbeddedS3 | undefined;
  private readonly credentials: ReturnType<typeof freshCredentials> | undefined;
  /** The token that the store sends with its notifications, and that ingest expects. */
  private readonly token: string;
  private stopping = false;

  private constructor(
    private readonly options: EmbeddedServersOptions,
    ports: number[],
  ) {
    const { provisioned, dataDir, environment } = options;
    this.token = environment['API_TOKEN'] || freshToken();
    const [controllerPort = 0, ...weedPorts] = ports;
    if (provisioned.kafka) {
      this.kafka = new EmbeddedKafka({
        install: provisioned.kafka,
        dataDir: join(dataDir, 'kafka'),
        port: Number(environment['KAFKA_PORT'] || embeddedPorts.kafka),
        controllerPort,
        portVariable: 'KAFKA_PORT',
        onUnexpectedExit: (reason) => void this.startAgain('Kafka', this.kafka, reason),
      });
    }
    if (provisioned.seaweedfs) {
      this.credentials = keptCredentials(join(dataDir, 's3-credentials.json'));
      this.s3 = new EmbeddedS3({
        weed: provisioned.seaweedfs.weed,
        dataDir: join(dataDir, 's3'),
        ports: { ...seaweedfsPorts(weedPorts), s3: Number(environment['S3_PORT'] || embeddedPorts.s3) },
        portVariable: 'S3_PORT',
        accessKeyId: this.credentials.AWS_ACCESS_KEY_ID,
        secretAccessKey: this.credentials.AWS_SECRET_ACCESS_KEY,
        webhookUrl: `http://127.0.0.1:${options.ingestPort}/bucket-events`,
        webhookBearerToken: this.token,
        webhookBuckets: [options.bucket],
        onUnexpectedExit: (reason) => void this.startAgain('SeaweedFS', this.s3, reason),
      });
    }
  }

  /** Starts both at the same time. @throws PipelineError PORT_IN_USE, SETUP_FAILED, DISK_FULL */
  static async start(options: EmbeddedServersOptions): Promise<EmbeddedServers> {
    const servers = new EmbeddedServers(options, await freePorts(11));
    const startedAt = performance.now();
    const started = await Promise.allSettled([servers.kafka?.start(), servers.s3?.start()]);
    const failed = started.find((each) => each.status === 'rejected');
    if (failed) {
      await servers.stop();
      throw failed.reason;
    }
    const named = [servers.kafka && `Kafka at ${servers.kafka.brokers}`, servers.s3 && `S3 at ${servers.s3.endpoint}`].filter(Boolean);
    if (named.length > 0) options.say(`${named.join(', ')}  ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    return servers;
  }

  /** The environment variables that services and commands need to reach the servers. */
  get environment(): Record<string, string> {
    return {
      ...(this.kafka && { KAFKA_BROKERS: this.kafka.brokers }),
      ...(this.s3 && { S3_ENDPOINT: this.s3.endpoint, API_TOKEN: this.token }),
      ...this.credentials,
    };
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all([this.kafka?.stop(), this.s3?.stop()]);
  }

  private async startAgain(name: string, server: EmbeddedKafka | EmbeddedS3 | undefined, reason: string): Promise<void> {
    if (this.stopping) return;
    this.options.say(`${name} ended (${reason}); restarting it`, 'warning');
    // It keeps trying: a full disk may have room again later.
    for (let pauseMs = restartPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      await sleep(pauseMs);
      if (this.stopping) return;
      try {
        await server?.start();
        return;
      } catch (error) {
        this.options.say(`${name} does not start; trying again: ${(error as Error).message}`, 'warning');
      }
    }
  }
}

/** Reads the keys of an earlier start, because the object store remembers them, or makes new ones. */
function keptCredentials(file: string): ReturnType<typeof freshCredentials> {
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as ReturnType<typeof freshCredentials>;
  const credentials = freshCredentials();
  makePrivateFolder(dirname(file));
  writePrivateFile(file, JSON.stringify(credentials));
  return credentials;
}
