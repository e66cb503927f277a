/**
 * Starts `deploy/compose.yaml` without Prometheus and Grafana: Kafka, S3 and the five services from the image, read-only and not
 * as root. UNDERTONE_IMAGE names an existing image; without it Compose builds one.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DockerComposeEnvironment, getContainerRuntimeClient, type StartedTestContainer } from 'testcontainers';
import { freePorts } from '#embedded/free-ports.js';
import { packageRoot } from '#service/package-root.js';
import { quickSettings, RunningPipeline, tinyModel, type ServiceName } from '../integration/running-pipeline.js';
import { fromEventsAlone, type PipelineStack } from '../pipeline-suite.js';
import type { Compose } from './engine.js';

const credentials = { AWS_ACCESS_KEY_ID: 'undertonetest', AWS_SECRET_ACCESS_KEY: 'undertonetestsecret' };
const services: ServiceName[] = ['ingest', 'features', 'trainer', 'evaluator', 'predictor'];
const quick = { ...quickSettings, ...fromEventsAlone, MODEL_SETTINGS_FILE: '/etc/undertone/model.json' };

export interface ComposeStack extends PipelineStack {
  containerOf(service: ServiceName): StartedTestContainer;
}

export async function startCompose(version: Compose): Promise<ComposeStack> {
  const folder = mkdtempSync(join(tmpdir(), 'undertone-compose-'));
  writeFileSync(join(folder, 'model.json'), JSON.stringify(tinyModel));
  const overrides = { environment: quick, volumes: [`${join(folder, 'model.json')}:/etc/undertone/model.json:ro`] };
  const override = join(folder, 'override.yaml'); // JSON is YAML
  writeFileSync(override, JSON.stringify({ services: Object.fromEntries(services.map((name) => [name, overrides])) }));

  const ports = await freePorts(7);
  const variables = ['KAFKA_PORT', 'S3_PORT', ...services.map((name) => `${name.toUpperCase()}_PORT`)];
  const portSettings = Object.fromEntries(variables.map((name, at) => [name, String(ports[at])]));
  const token = randomBytes(20).toString('hex');
  const prefix = `test-${randomBytes(5).toString('hex')}`;
  Object.assign(process.env, credentials);
  const image = process.env['UNDERTONE_IMAGE'];
  const environment = new DockerComposeEnvironment(join(packageRoot, 'deploy'), ['compose.yaml', override])
    .withProjectName(prefix)
    .withEnvironment({
      ...credentials,
      ...portSettings,
      TOPIC_PREFIX: prefix,
      S3_BUCKET: prefix,
      API_TOKEN: token,
      METRICS_TOKEN: `${token}-of-the-metrics`,
      GRAFANA_ADMIN_PASSWORD: 'not started',
      TRAINER_TARGET: 'services',
      ...(image ? { TRAINER_IMAGE: image } : {}),
    });
  if (version === 'standalone') environment.withClientOptions({ executable: { standalone: true } });
  if (!image) environment.withBuild();
  const started = await environment.up(services);
  const containerOf = (service: ServiceName): StartedTestContainer =>
    started.getContainer(version === 'standalone' ? `${prefix}_${service}_1` : `${service}-1`);
  const pipeline = new ComposePipeline(containerOf, {
    ...portSettings,
    API_TOKEN: token,
    TOPIC_PREFIX: prefix,
    KAFKA_BROKERS: `127.0.0.1:${portSettings['KAFKA_PORT']}`,
    S3_ENDPOINT: `http://127.0.0.1:${portSettings['S3_PORT']}`,
  });
  await pipeline.prepare();
  return {
    pipeline,
    containerOf,
    close: async () => {
      await pipeline.close();
      await started.down({ removeVolumes: true });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A pipeline that Compose starts before `start` is called. */
class ComposePipeline extends RunningPipeline {
  constructor(
    private readonly containerOf: ComposeStack['containerOf'],
    settings: Record<string, string>,
  ) {
    super(settings);
  }

  override start(): void {}

  /** @throws with the error and the ends of the services' logs */
  override async until(...wait: Parameters<RunningPipeline['until']>): Promise<void> {
    try {
      await super.until(...wait);
    } catch (error) {
      const ends = await Promise.all(services.map(async (name) => `--- ${name}\n${await lastLines(this.containerOf(name))}`));
      throw new Error([(error as Error).message, ...ends].join('\n'), { cause: error });
    }
  }

  override async stopGently(service: ServiceName): Promise<number | null> {
    const { container: engine } = await getContainerRuntimeClient();
    const container = engine.getById(this.containerOf(service).getId());
    await engine.stop(container, { timeout: 30_000 });
    return (await engine.inspect(container)).State.ExitCode;
  }
}

async function lastLines(container: StartedTestContainer): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of (await container.logs({ tail: 8 })) as AsyncIterable<string | Buffer>) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8').slice(-2_000);
}
